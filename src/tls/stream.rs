//! A TLS connection, as the server, that holds no buffer while it is idle: records over a socket. Why not
//! tokio-rustls: `docs/decisions/0016-tls-stream.md`.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use rustls::server::UnbufferedServerConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::records::Records;

/// A TLS connection whose handshake is made. [`accept`](super::accept) makes it.
///
/// A write is encrypted at once and sent by a flush, or when much is waiting: so what belongs together
/// takes one system call. A reader learns of the end of the connection only if the client has said so
/// (close_notify): without it, the end is an error (RFC 8446 §6.1).
pub struct TlsStream<IO> {
    io: IO,
    pub(super) records: Records,
    /// We have sent close_notify.
    is_closed: bool,
}

impl<IO> TlsStream<IO> {
    pub(super) fn new(io: IO, tls: UnbufferedServerConnection) -> Self {
        Self { io, records: Records::new(tls), is_closed: false }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> TlsStream<IO> {
    /// Reads what the client has sent, and decrypts it.
    ///
    /// # Errors
    /// Those of the connection, and its end without close_notify. A fault of the client is in
    /// [`Records::check`], after what came before it.
    pub(super) fn poll_decrypt(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut stack = [const { MaybeUninit::uninit() }; CHUNK];
        let mut sent = ReadBuf::uninit(&mut stack);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut sent))?;
        if sent.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.records.decrypt(sent.filled_mut(), into);
        if self.records.check().is_err() {
            // The alert says what is wrong. The error is reported, whether or not the alert can be sent.
            match self.poll_send(cx) {
                Poll::Pending | Poll::Ready(_) => {}
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends some of what is encrypted: as much as the socket takes at once.
    fn poll_send_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let count = ready!(Pin::new(&mut self.io).poll_write(cx, &self.records.outgoing))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.records.outgoing.advance(count);
        Poll::Ready(Ok(()))
    }

    /// Sends all that is encrypted.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.records.outgoing.is_empty() {
            ready!(self.poll_send_some(cx))?;
        }
        self.records.outgoing = BytesMut::new();
        Pin::new(&mut self.io).poll_flush(cx)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        loop {
            if !this.records.plaintext.is_empty() {
                let count = this.records.plaintext.len().min(into.remaining());
                into.put_slice(&this.records.plaintext[..count]);
                this.records.plaintext.advance(count);
                if this.records.plaintext.is_empty() {
                    this.records.plaintext = BytesMut::new();
                }
            }
            if into.filled().len() > before || into.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            this.records.check()?;
            if this.records.is_closed_by_client() {
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_decrypt(cx, into))?;
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        while this.records.outgoing.len() >= AT_ONCE {
            ready!(this.poll_send_some(cx))?;
        }
        let bytes = &bytes[..bytes.len().min(AT_ONCE)];
        this.records.encrypt(bytes)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(cx)
    }

    /// Sends close_notify with what is left to be sent, and closes this side of the connection. A client may
    /// still send after it (RFC 8446 §6.1).
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_closed {
            this.is_closed = true;
            // After a fault of the client there is an alert instead (RFC 8446 §6.2).
            if this.records.check().is_ok() {
                this.records.encrypt(&[])?;
            }
        }
        ready!(this.poll_send(cx))?;
        match ready!(Pin::new(&mut this.io).poll_shutdown(cx)) {
            // The client has closed the connection already.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            closed => Poll::Ready(closed),
        }
    }
}

/// Bytes of one read from the socket: half a record.
const CHUNK: usize = 8192;
/// Bytes that are encrypted before some must be sent. A client on a slow network must be able to take twice as
/// much within `limits.write`.
const AT_ONCE: usize = 32 * 1024;
