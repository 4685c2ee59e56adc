//! What carries a stream: bytes (TCP), or messages (WebSocket).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::AsyncWrite;

use super::framing::Framing;
use super::received::Received;
use super::websocket::WebSocket;
use super::wire::{self, Wire};

/// What carries a stream. To write, hand over what [`Framing`] has made.
pub enum Channel {
    /// The stream is one document (RFC 6120).
    Tcp(Wire),
    /// Each element is a document (RFC 7395).
    WebSocket(Box<WebSocket<Wire>>),
}

impl Channel {
    /// How what is sent here is to be written.
    #[must_use]
    pub fn framing(&self) -> Framing {
        match self {
            Self::Tcp(_) => Framing::Tcp,
            Self::WebSocket(_) => Framing::WebSocket,
        }
    }

    /// Appends what can be read. How many bytes of elements came: perhaps none, if the peer has said
    /// something else that shows that it is there. `None` at the end. Nothing is lost if the caller stops
    /// polling.
    pub fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        received: &mut Received,
    ) -> Poll<io::Result<Option<usize>>> {
        match self {
            Self::Tcp(wire) => wire::poll_receive(wire, cx, &mut received.bytes),
            Self::WebSocket(socket) => socket.poll_receive(cx, received),
        }
    }

    /// The same, as a future.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn receive(&mut self, received: &mut Received) -> io::Result<Option<usize>> {
        std::future::poll_fn(|cx| self.poll_receive(cx, received)).await
    }
}

impl AsyncWrite for Channel {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(wire) => Pin::new(wire).poll_write(cx, bytes),
            Self::WebSocket(socket) => Pin::new(&mut **socket).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(wire) => Pin::new(wire).poll_flush(cx),
            Self::WebSocket(socket) => Pin::new(&mut **socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(wire) => Pin::new(wire).poll_shutdown(cx),
            Self::WebSocket(socket) => Pin::new(&mut **socket).poll_shutdown(cx),
        }
    }
}

/// A channel for two loops of one task: one reads, one writes.
pub struct SharedChannel(Mutex<Channel>);

impl SharedChannel {
    /// Shares a channel, until [`SharedChannel::into_inner`].
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self(Mutex::new(channel))
    }

    /// The channel, when nobody reads or writes any more.
    #[must_use]
    pub fn into_inner(self) -> Channel {
        self.0.into_inner()
    }

    /// As [`Channel::receive`].
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn receive(&self, received: &mut Received) -> io::Result<Option<usize>> {
        std::future::poll_fn(|cx| self.0.lock().poll_receive(cx, received)).await
    }
}

impl AsyncWrite for &SharedChannel {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.lock()).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_shutdown(cx)
    }
}
