//! A connection without a session: what the negotiation reads and writes, and the last words.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

use crate::config::LimitsConfig;
use crate::random::random_id;
use crate::stanza::StreamError;
use crate::storage::MessageId;
use crate::stream::header;
use crate::stream::input::Input;
use crate::stream::wire::{self, Io, Wire};
use crate::xml;

/// A connection while it is negotiated, and the parts of it that go on.
pub(super) struct Connection {
    /// `None` once it is lost.
    pub(super) wire: Option<Wire>,
    pub(super) input: Input,
    pub(super) peer: SocketAddr,
    pub(super) limits_before_auth: xml::Limits,
    pub(super) limits: xml::Limits,
    /// Our header has been sent on this stream.
    pub(super) is_open: bool,
    /// What the negotiation has still to say when there is a session: the session's own writing
    /// loop says it.
    pub(super) first: Vec<u8>,
    /// Marks of messages that the client has, as it said when it resumed.
    pub(super) delivered: Vec<MessageId>,
    write_limit: Duration,
}

/// What of a connection goes on when there is a session.
pub(super) struct Opened {
    pub(super) wire: Option<Wire>,
    pub(super) input: Input,
    /// To be written before anything else: the answer that there is a session.
    pub(super) first: Vec<u8>,
    /// Marks that are to fall.
    pub(super) delivered: Vec<MessageId>,
}

impl Connection {
    pub(super) fn new(io: Box<dyn Io>, peer: SocketAddr, limits: &LimitsConfig) -> Self {
        let after = xml::Limits {
            bytes: limits.stanza,
            depth: limits.depth,
            attributes: limits.attributes,
            nodes: limits.nodes,
        };
        let before = xml::Limits {
            bytes: limits.stanza_before_auth,
            nodes: after.nodes.min(NODES_BEFORE_AUTH),
            ..after
        };
        Self {
            wire: Some(Wire::Plain(io)),
            input: Input::new(before),
            peer,
            limits_before_auth: before,
            limits: after,
            is_open: false,
            first: Vec::new(),
            delivered: Vec::new(),
            write_limit: limits.write,
        }
    }

    /// Inside a WebSocket, messages are what is read (RFC 7395 §3.3.3).
    pub(super) fn of_messages(io: Box<dyn Io>, peer: SocketAddr, limits: &LimitsConfig) -> Self {
        let this = Self::new(io, peer, limits);
        Self { input: Input::of_documents(this.limits_before_auth), ..this }
    }

    pub(super) async fn read(&mut self) -> io::Result<usize> {
        let wire = self.wire.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        self.input.read(wire).await
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let wire = self.wire.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        write_all(wire, bytes, self.write_limit).await
    }

    /// Nobody is there any more.
    pub(super) fn abandon(&mut self) {
        self.wire = None;
    }

    /// What goes on when there is a session.
    pub(super) fn opened(self) -> Box<Opened> {
        let Self { wire, input, first, delivered, .. } = self;
        Box::new(Opened { wire, input, first, delivered })
    }

    /// Ends the stream in good order, as far as the peer plays along. An error is told on an open
    /// stream: if there is none yet, it is opened in the name of `domain` (RFC 6120 §4.9.1.2).
    pub(super) async fn close(self, error: Option<StreamError>, domain: &str) {
        let Some(wire) = self.wire else { return };
        let first = match &error {
            Some(_) if !self.is_open => header::response(&random_id(), domain, None),
            _ => Vec::new(),
        };
        drop(farewell(wire, &first, error.as_ref()).await);
    }
}

/// Writes all, as long as there is progress.
pub(super) async fn write_all(
    wire: &mut (impl AsyncWriteExt + Unpin),
    mut bytes: &[u8],
    limit: Duration,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = timeout(limit, wire.write(bytes)).await??;
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[n..];
    }
    timeout(limit, wire.flush()).await?
}

/// The last words, the end of the stream, the end of TLS; then we listen for a moment, since a
/// socket closed with unread bytes takes our last words with it (RFC 6120 §4.4).
///
/// # Errors
/// If the last words were not taken by the peer's machine.
pub(super) async fn farewell(
    mut wire: Wire,
    last: &[u8],
    error: Option<&StreamError>,
) -> io::Result<()> {
    let mut out = last.to_vec();
    if let Some(error) = error {
        error.to_node().write(&mut out);
    }
    out.extend_from_slice(header::END);
    let deadline = Instant::now() + FAREWELL;
    let said = async {
        wire.write_all(&out).await?;
        wire.shutdown().await
    };
    tokio::time::timeout_at(deadline, said).await??;
    let heard = async {
        let mut rest = bytes::BytesMut::new();
        while wire::read(&mut wire, &mut rest).await? > 0 {
            rest.clear();
        }
        io::Result::Ok(())
    };
    // What a peer has still to say after the end does not matter.
    drop(tokio::time::timeout_at(deadline, heard).await);
    Ok(())
}

/// Ends the connection under an open stream, and TLS with it: without the close_notify that RFC 8446
/// §6.1 asks for, Dino does not notice the end and never comes back. Nobody waits for who does not
/// read.
pub(super) async fn end_tls(mut wire: Wire) {
    drop(timeout(Duration::ZERO, wire.shutdown()).await);
}

/// For the last words.
const FAREWELL: Duration = Duration::from_secs(2);
/// Elements, attributes and texts: enough for a stream header and SASL.
const NODES_BEFORE_AUTH: usize = 256;
