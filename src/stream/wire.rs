//! A connection of bytes: TCP, or what a test puts in its place, with or without TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls::Chosen;

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
    /// Makes the TLS handshake, as the server. `choose` chooses the certificate by the name that the client
    /// asks for (SNI). If the handshake fails, the connection is lost.
    ///
    /// # Errors
    /// If it fails, or there is TLS already.
    pub async fn secure(
        self,
        choose: impl FnOnce(Option<&str>) -> Chosen,
    ) -> io::Result<(Self, Chosen)> {
        let Self::Plain(io) = self else { return Err(io::Error::other("TLS inside TLS")) };
        let hello = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
        let chosen = choose(hello.client_hello().server_name());
        let tls = hello.into_stream(Arc::clone(&chosen.config)).await?;
        Ok((Self::Tls(Box::new(tls)), chosen))
    }

    /// The TLS connection, if there is one.
    #[must_use]
    pub fn tls(&self) -> Option<&rustls::ServerConnection> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => Some(tls.get_ref().1),
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
    let mut stack = [0; CHUNK];
    let mut chunk = ReadBuf::new(&mut stack);
    ready!(Pin::new(from).poll_read(cx, &mut chunk))?;
    buffer.extend_from_slice(chunk.filled());
    let count = chunk.filled().len();
    Poll::Ready(Ok((count > 0).then_some(count)))
}

/// Bytes of one read: half a TLS record. A larger stanza takes more reads.
pub(super) const CHUNK: usize = 8192;
