//! A connection of bytes: TCP, or what a test puts in its place, with or without TLS.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls::{self, Chosen, ClientHello, Handshake, TlsStream};

/// A stream of bytes in both directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection, without or with TLS.
pub enum Wire {
    /// Without TLS.
    Plain(Box<dyn Io>),
    /// With TLS.
    Tls(Box<TlsStream<Box<dyn Io>>>),
}

impl Wire {
    /// Makes the TLS handshake, as the server: see [`tls::accept`]. If it fails, the connection is lost.
    ///
    /// # Errors
    /// If it fails, or there is TLS already.
    pub async fn secure(
        self,
        choose: impl FnOnce(&ClientHello) -> Chosen,
    ) -> io::Result<(Self, Chosen, Handshake)> {
        let (tls, chosen, handshake) = tls::accept(self.plain()?, choose).await?;
        Ok((Self::Tls(Box::new(tls)), chosen, handshake))
    }

    /// The same with the certificate that was chosen before: see [`tls::accept_as`].
    ///
    /// # Errors
    /// If it fails, or there is TLS already.
    pub async fn secure_as(self, chosen: &Chosen) -> io::Result<(Self, Handshake)> {
        let (tls, handshake) = tls::accept_as(self.plain()?, chosen).await?;
        Ok((Self::Tls(Box::new(tls)), handshake))
    }

    fn plain(self) -> io::Result<Box<dyn Io>> {
        match self {
            Self::Plain(io) => Ok(io),
            Self::Tls(_) => Err(io::Error::other("TLS inside TLS")),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// Appends what can be read to `buffer`, and says how much that was; `None` at the end. Nothing is lost
/// if the caller stops polling.
///
/// The bytes pass through the stack: an idle connection holds no buffer, which would be most of
/// its memory.
pub fn poll_receive(
    from: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    buffer: &mut BytesMut,
) -> Poll<io::Result<Option<usize>>> {
    let mut stack = [const { MaybeUninit::uninit() }; CHUNK];
    let mut chunk = ReadBuf::uninit(&mut stack);
    ready!(Pin::new(from).poll_read(cx, &mut chunk))?;
    buffer.extend_from_slice(chunk.filled());
    let count = chunk.filled().len();
    Poll::Ready(Ok((count > 0).then_some(count)))
}

/// Bytes of one read: half a TLS record. A larger stanza takes more reads.
pub(super) const CHUNK: usize = 8192;
