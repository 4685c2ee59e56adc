//! A TLS connection, as the server, that holds no buffer while it is idle.
//!
//! rustls makes the protocol, and the buffers are ours ([`rustls::unbuffered`]). Why not tokio-rustls:
//! `docs/decisions/0016-tls-stream.md`.
//!
//! What is easy to get wrong:
//!
//! - rustls keeps positions in bytes that it has seen and not discarded (parts of a handshake message). So
//!   each call gets all bytes that are left from the last call, in front of the new ones.
//! - A state that rustls returns must be handled before the next call: otherwise a record is lost.
//! - Nothing is asked of rustls after it has failed.

use std::io;
use std::mem::{self, MaybeUninit};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use rustls::InvalidMessage;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A TLS connection whose handshake is made. [`accept`](super::accept) makes it.
///
/// A write is encrypted at once and sent by a flush, or when much is waiting: so what belongs together
/// takes one system call. A reader learns of the end of the connection only if the client has said so
/// (close_notify): without it, the end is an error (RFC 8446 §6.1).
pub struct TlsStream<IO> {
    io: IO,
    tls: UnbufferedServerConnection,
    /// The beginning of a record, or of a handshake message, whose rest is still to come.
    received: BytesMut,
    /// What was decrypted and did not fit into the buffer of the reader.
    plaintext: BytesMut,
    /// Records to be sent.
    outgoing: BytesMut,
    reading: Reading,
    /// We have sent close_notify.
    is_closed: bool,
}

/// Whether more comes from the client.
enum Reading {
    Open,
    /// The client has sent close_notify.
    Closed,
    /// Boxed, since a connection should be small.
    Failed(Box<rustls::Error>),
}

impl From<rustls::Error> for Reading {
    fn from(error: rustls::Error) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl<IO> TlsStream<IO> {
    pub(super) fn new(io: IO, tls: UnbufferedServerConnection) -> Self {
        Self {
            io,
            tls,
            received: BytesMut::new(),
            plaintext: BytesMut::new(),
            outgoing: BytesMut::new(),
            reading: Reading::Open,
            is_closed: false,
        }
    }

    pub(super) fn tls(&self) -> &UnbufferedServerConnection {
        &self.tls
    }

    pub(super) fn is_closed_by_client(&self) -> bool {
        matches!(self.reading, Reading::Closed)
    }

    /// # Errors
    /// Why nothing more is read: a fault of the client.
    pub(super) fn check(&self) -> io::Result<()> {
        match &self.reading {
            Reading::Failed(error) => {
                Err(io::Error::new(io::ErrorKind::InvalidData, error.clone()))
            }
            Reading::Closed | Reading::Open => Ok(()),
        }
    }

    /// Decrypts what the client has sent. Appends plaintext to `into`, and keeps what does not fit.
    pub(super) fn decrypt(&mut self, sent: &mut [u8], into: &mut ReadBuf<'_>) {
        if self.received.is_empty() {
            let done = self.advance(sent, into);
            self.received.extend_from_slice(&sent[done..]);
        } else {
            self.received.extend_from_slice(sent);
            let mut received = mem::take(&mut self.received);
            let done = self.advance(&mut received, into);
            received.advance(done);
            if !received.is_empty() {
                self.received = received;
            }
        }
        if self.received.len() > MOST_RECEIVED {
            let error = rustls::Error::from(InvalidMessage::HandshakePayloadTooLarge);
            self.reading = error.into();
        }
        if !matches!(self.reading, Reading::Open) {
            self.received = BytesMut::new();
        }
    }

    /// Bytes of buffers that are allocated.
    #[cfg(test)]
    pub(super) fn buffered(&self) -> usize {
        self.received.capacity() + self.plaintext.capacity() + self.outgoing.capacity()
    }

    /// Gives records to rustls until it wants more. Returns how many bytes it is done with.
    fn advance(&mut self, records: &mut [u8], into: &mut ReadBuf<'_>) -> usize {
        let mut done = 0;
        // After a fault only the alert is taken, which rustls gives out before it looks at records.
        while !matches!(self.reading, Reading::Failed(_)) || self.tls.wants_write() {
            let UnbufferedStatus { discard, state, .. } =
                self.tls.process_tls_records(&mut records[done..]);
            done += discard;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                done += record.discard;
                                give(record.payload, into, &mut self.plaintext);
                            }
                            Err(error) => self.reading = error.into(),
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    let encode = |out: &mut [u8]| {
                        data.encode(out).map_err(|error| match error {
                            EncodeError::InsufficientSize(error) => error.required_size,
                            EncodeError::AlreadyEncoded => 0,
                        })
                    };
                    if let Err(error) = append(&mut self.outgoing, 0, encode) {
                        self.reading = error.into();
                    }
                }
                // It is sent with the next flush.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.reading = Reading::Closed,
                Ok(
                    ConnectionState::BlockedHandshake
                    | ConnectionState::WriteTraffic(_)
                    | ConnectionState::Closed,
                ) => return done,
                // Early data, which is not allowed, or what a later rustls adds.
                Ok(other) => {
                    let error = rustls::Error::General(format!("unexpected {other:?}"));
                    self.reading = error.into();
                    return done;
                }
                Err(error) => self.reading = error.into(),
            }
        }
        done
    }

    /// Encrypts these bytes, or close_notify if there are none.
    fn encrypt(&mut self, plaintext: &[u8]) -> io::Result<()> {
        self.check()?;
        // What rustls has to say first, such as the answer to a key update.
        self.decrypt(&mut [], &mut ReadBuf::new(&mut []));
        let state = self.tls.process_tls_records(&mut self.received).state;
        let Ok(ConnectionState::WriteTraffic(mut traffic)) = state else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let room = plaintext.len() + (plaintext.len() / RECORD + 1) * OVERHEAD;
        let encrypted = append(&mut self.outgoing, room, |out| {
            let encrypted = if plaintext.is_empty() {
                traffic.queue_close_notify(out)
            } else {
                traffic.encrypt(plaintext, out)
            };
            encrypted.map_err(|error| match error {
                EncryptError::InsufficientSize(error) => error.required_size,
                EncryptError::EncryptExhausted => 0,
            })
        });
        encrypted.map_err(io::Error::other)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> TlsStream<IO> {
    /// Reads what the client has sent, and decrypts it.
    ///
    /// # Errors
    /// Those of the connection, and its end without close_notify. A fault of the client is in
    /// [`TlsStream::check`], after what came before it.
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
        self.decrypt(sent.filled_mut(), into);
        if self.check().is_err() {
            // The alert says what is wrong. The error is reported, whether or not the alert can be sent.
            match self.poll_send(cx) {
                Poll::Pending | Poll::Ready(_) => {}
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends all that is encrypted.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, &self.outgoing))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(count);
        }
        self.outgoing = BytesMut::new();
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
            if !this.plaintext.is_empty() {
                let count = this.plaintext.len().min(into.remaining());
                into.put_slice(&this.plaintext[..count]);
                this.plaintext.advance(count);
                if this.plaintext.is_empty() {
                    this.plaintext = BytesMut::new();
                }
            }
            if into.filled().len() > before || into.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            this.check()?;
            if this.is_closed_by_client() {
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
        if this.outgoing.len() >= AT_ONCE {
            ready!(this.poll_send(cx))?;
        }
        let bytes = &bytes[..bytes.len().min(AT_ONCE)];
        this.encrypt(bytes)?;
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
            if this.check().is_ok() {
                this.encrypt(&[])?;
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

/// Gives plaintext to the reader. What does not fit is kept, behind what is kept already.
fn give(plaintext: &[u8], into: &mut ReadBuf<'_>, kept: &mut BytesMut) {
    let fits = if kept.is_empty() { plaintext.len().min(into.remaining()) } else { 0 };
    into.put_slice(&plaintext[..fits]);
    kept.extend_from_slice(&plaintext[fits..]);
}

/// Appends what `write` writes into the room that it gets. If that is too little, `write` says how much it
/// needs.
fn append(
    outgoing: &mut BytesMut,
    mut room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, usize>,
) -> Result<(), rustls::Error> {
    let start = outgoing.len();
    loop {
        outgoing.resize(start + room, 0);
        match write(&mut outgoing[start..]) {
            Ok(written) => {
                outgoing.truncate(start + written);
                return Ok(());
            }
            Err(needed) if needed > room => room = needed,
            Err(_) => {
                outgoing.truncate(start);
                return Err(rustls::Error::EncryptError);
            }
        }
    }
}

/// Bytes of one read from the socket: half a record.
const CHUNK: usize = 8192;
/// Bytes of plaintext in the largest record (RFC 8446 §5.1).
const RECORD: usize = 16 * 1024;
/// The most that a record adds to its plaintext, of the suites that we offer: on TLS 1.2 a header of 5 bytes, a
/// nonce of 8, and a tag of 16.
const OVERHEAD: usize = 29;
/// Bytes that are encrypted before some must be sent.
const AT_ONCE: usize = 64 * 1024;
/// Bytes that wait for their rest: a handshake message may have 64 KiB, the most that rustls takes.
const MOST_RECEIVED: usize = 64 * 1024;
