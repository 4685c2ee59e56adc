//! A connection while its stream is negotiated, with any kind of peer: what is read, what is to be written, and the end
//! of the stream.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::channel::Channel;
use super::framing::Framing;
use super::header::StreamHeader;
use super::input::Input;
use super::received::Received;
use super::wire::Wire;
use crate::stanza::{Stanza, StreamError};
use crate::xml::{Limits, Node};

/// A connection while its stream is negotiated.
pub struct Connection {
    /// `None` once it is lost.
    pub(super) channel: Option<Channel>,
    /// What is read.
    pub input: Input,
    /// Where the peer is.
    pub peer: SocketAddr,
    framing: Framing,
    /// What is to be written, see [`Connection::flush`].
    pub(super) out: Vec<u8>,
    /// Bytes that were written since the beginning.
    pub(super) written: u64,
    /// The end of our stream is, likewise.
    has_ended: bool,
    /// Our header is among what was written or is to be, on this stream.
    is_open: bool,
    write_limit: Duration,
    /// The peer is another server.
    is_server: bool,
}

/// The parts of a connection that are still needed after the negotiation.
pub struct Negotiated {
    /// `None` if it was lost meanwhile.
    pub channel: Option<Channel>,
    /// What is read.
    pub input: Input,
    /// To be written before anything else: the last answers of the negotiation.
    pub out: Vec<u8>,
}

impl Connection {
    /// Expects the header of a stream, within these limits. `write_limit`: how long a write may make no
    /// progress.
    #[must_use]
    pub fn new(channel: Channel, peer: SocketAddr, limits: Limits, write_limit: Duration) -> Self {
        let framing = channel.framing();
        let write_limit = channel.write_limit(write_limit);
        Self {
            channel: Some(channel),
            input: Input::new(framing, limits),
            peer,
            framing,
            out: Vec::new(),
            written: 0,
            has_ended: false,
            is_open: false,
            write_limit,
            is_server: false,
        }
    }

    /// The same for a peer that is another server.
    #[must_use]
    pub fn with_server(self) -> Self {
        Self { is_server: true, ..self }
    }

    /// Whether the connection is lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.channel.is_none()
    }

    /// Opens our stream.
    pub fn open(&mut self, header: &StreamHeader) {
        self.is_open = true;
        self.framing.open(header, &mut self.out);
    }

    /// Begins a new stream: a header is due, from the peer and from us.
    pub fn restart(&mut self, limits: Limits) {
        self.is_open = false;
        self.input.restart(limits);
        self.set_limits(limits);
    }

    /// What comes from now on is read within these limits.
    pub fn set_limits(&mut self, limits: Limits) {
        self.input.set_limits(limits);
        if let Some(channel) = &mut self.channel {
            channel.set_limits(limits);
        }
    }

    /// Appends an element to what is to be written.
    pub fn send(&mut self, node: &Node) {
        self.framing.element(&mut self.out, |out| node.write(out));
    }

    /// Appends a stanza to what is to be written.
    pub fn send_stanza(&mut self, stanza: &Stanza) {
        self.framing.element(&mut self.out, |out| stanza.write(None, out));
    }

    /// Writes all that was sent. If that fails, the connection is lost.
    ///
    /// # Errors
    /// Those of the connection; or the peer does not read.
    pub async fn flush(&mut self) -> io::Result<()> {
        let channel = self.channel.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let out = std::mem::take(&mut self.out);
        let written =
            if out.is_empty() { Ok(()) } else { write_all(channel, &out, self.write_limit).await };
        match written {
            Ok(()) => self.written += out.len() as u64,
            Err(_) => self.channel = None,
        }
        written
    }

    /// Reads more. `false` if the connection is lost.
    pub async fn read(&mut self) -> bool {
        let Some(channel) = self.channel.as_mut() else { return false };
        let is_there = matches!(channel.receive(self.input.received()).await, Ok(Some(_)));
        if !is_there {
            self.channel = None;
        }
        is_there
    }

    /// Writes all that was sent, and takes the connection for a TLS handshake: see
    /// [`Connection::secured`]. `None` if it is lost, or cannot have TLS.
    pub async fn take_for_tls(&mut self) -> Option<Wire> {
        self.flush().await.ok()?;
        match self.channel.take() {
            Some(Channel::Tcp(wire)) => Some(wire),
            Some(Channel::WebSocket(_) | Channel::Bosh(_)) | None => None,
        }
    }

    /// The handshake has succeeded.
    pub fn secured(&mut self, wire: Wire) {
        self.channel = Some(Channel::Tcp(wire));
    }

    /// The parts that are still needed after the negotiation.
    #[must_use]
    pub fn negotiated(self) -> Negotiated {
        let Self { channel, input, out, .. } = self;
        Negotiated { channel, input, out }
    }

    /// Sends the client elsewhere (RFC 7395 §3.6.1), and ends the connection.
    pub async fn redirect(mut self, address: &str) {
        self.framing.redirect(address, &mut self.out);
        if let Some(channel) = self.channel {
            drop(last(channel, &self.out).await);
        }
    }

    /// Whether our stream has ended.
    #[must_use]
    pub fn has_ended_ours(&self) -> bool {
        self.has_ended
    }

    /// Ends our stream, without an error. What the peer says until it ends its own is still to be read (RFC 6120 §4.4);
    /// then [`Connection::close`].
    pub fn end_ours(&mut self) {
        if !self.has_ended {
            self.has_ended = true;
            self.framing.close(&mut self.out);
        }
    }

    /// Ends the stream in good order, as far as the peer plays along. An error is told on an open
    /// stream: if there is none yet, it is opened in the name of `domain` (RFC 6120 §4.9.1.2).
    pub async fn close(mut self, error: Option<StreamError>, domain: &str) {
        if error.is_some() && !self.is_open && !self.has_ended {
            let header = StreamHeader::new(domain, None);
            self.open(&StreamHeader { is_server: self.is_server, ..header });
        }
        if let Some(channel) = self.channel {
            if self.has_ended {
                return drop(last(channel, &self.out).await);
            }
            drop(farewell(channel, self.out, error.as_ref()).await);
        }
    }
}

/// Writes all, as long as there is progress within `limit`.
///
/// # Errors
/// Those of the connection; or there is no progress.
pub async fn write_all(
    mut channel: impl AsyncWrite + Unpin,
    mut bytes: &[u8],
    limit: Duration,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = timeout(limit, channel.write(bytes)).await??;
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[n..];
    }
    timeout(limit, channel.flush()).await?
}

/// Writes what is left, the error if there is one, the end of the stream, the end of TLS; then reads for a
/// moment, since a socket closed with unread bytes takes our last words with it (RFC 6120 §4.4).
///
/// # Errors
/// If the last words were not taken by the peer's machine.
pub async fn farewell(
    channel: Channel,
    mut out: Vec<u8>,
    error: Option<&StreamError>,
) -> io::Result<()> {
    let framing = channel.framing();
    if let Some(error) = error {
        framing.element(&mut out, |out| error.to_node().write(out));
    }
    framing.close(&mut out);
    last(channel, &out).await
}

/// Writes this and ends the connection.
async fn last(mut channel: Channel, out: &[u8]) -> io::Result<()> {
    let deadline = Instant::now() + FAREWELL;
    let written = async {
        channel.write_all(out).await?;
        channel.shutdown().await
    };
    tokio::time::timeout_at(deadline, written).await??;
    let read_to_the_end = async {
        let mut rest = Received::default();
        while channel.receive(&mut rest).await?.is_some() {
            rest = Received::default();
        }
        io::Result::Ok(())
    };
    // What a peer still sends after the end does not matter.
    drop(tokio::time::timeout_at(deadline, read_to_the_end).await);
    Ok(())
}

/// Ends the connection under an open stream, and TLS with it: without the close_notify that RFC 8446
/// §6.1 asks for, Dino does not notice the end and never comes back. Does not wait for a peer that does
/// not read.
pub async fn end_tls(mut channel: Channel) {
    drop(timeout(Duration::ZERO, channel.shutdown()).await);
}

/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(2);
