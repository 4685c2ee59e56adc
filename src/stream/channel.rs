//! What carries a stream: bytes (TCP), messages (WebSocket), or requests (BOSH).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncWrite;

use super::bosh::channel::BoshChannel;
use super::framing::Framing;
use super::received::Received;
use super::websocket::WebSocket;
use super::wire::{self, Wire};
use crate::xml::Limits;

/// What carries a stream. To write, hand over what [`Framing`] has made.
pub enum Channel {
    /// The stream is one document (RFC 6120).
    Tcp(Wire),
    /// Each element is a document (RFC 7395).
    WebSocket(Box<WebSocket<Wire>>),
    /// Elements come and go in HTTP requests (XEP-0124).
    Bosh(Box<BoshChannel>),
}

impl Channel {
    /// How what is sent here is to be written.
    #[must_use]
    pub fn framing(&self) -> Framing {
        match self {
            Self::Tcp(_) => Framing::Tcp,
            Self::WebSocket(_) => Framing::WebSocket,
            Self::Bosh(_) => Framing::Bosh,
        }
    }

    /// How long a write may make no progress, if that is `usual` over TCP. A client that polls or pauses (XEP-0124
    /// §10, §12) reads nothing meanwhile; the channel itself notices when it is away for too long.
    #[must_use]
    pub fn write_limit(&self, usual: Duration) -> Duration {
        match self {
            Self::Tcp(_) | Self::WebSocket(_) => usual,
            Self::Bosh(_) => AWAY,
        }
    }

    /// Asks whether the peer is there, below the level of the stream, if that is possible here. Written when
    /// something is read or written next.
    pub fn ping(&mut self) -> bool {
        match self {
            Self::Tcp(_) | Self::Bosh(_) => false,
            Self::WebSocket(socket) => {
                socket.ping();
                true
            }
        }
    }

    /// Whether the peer cannot be reached now, and need not be: a client of BOSH that has no request here (XEP-0124 §10).
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::WebSocket(_) => false,
            Self::Bosh(bosh) => bosh.is_away(),
        }
    }

    /// Reads what comes from now on within these limits.
    pub fn set_limits(&mut self, limits: Limits) {
        match self {
            Self::Tcp(_) | Self::WebSocket(_) => {}
            Self::Bosh(bosh) => bosh.set_limits(limits),
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
            Self::Bosh(bosh) => bosh.poll_receive(cx, received),
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
            Self::Bosh(bosh) => bosh.poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(wire) => Pin::new(wire).poll_flush(cx),
            Self::WebSocket(socket) => Pin::new(&mut **socket).poll_flush(cx),
            Self::Bosh(bosh) => bosh.poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(wire) => Pin::new(wire).poll_shutdown(cx),
            Self::WebSocket(socket) => Pin::new(&mut **socket).poll_shutdown(cx),
            Self::Bosh(bosh) => bosh.poll_shutdown(),
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

    /// The channel, when both loops have ended.
    #[must_use]
    pub fn into_inner(self) -> Channel {
        self.0.into_inner()
    }

    /// As [`Channel::ping`].
    pub fn ping(&self) -> bool {
        self.0.lock().ping()
    }

    /// As [`Channel::is_away`].
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.0.lock().is_away()
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

/// A time that is longer than any pause.
const AWAY: Duration = Duration::from_secs(2 * 3600);
