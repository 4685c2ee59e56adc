//! What a request is answered with (XEP-0124 §7.2, §9, §17; XEP-0206 §4).

use bytes::Bytes;

use super::request::{POLLING, Terms};
use crate::ns;
use crate::xml::{Node, element};

/// What a request is answered with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// 200, with this `<body/>`.
    Body(Bytes),
    /// A status without a body, for an old client (§17.1).
    Status(u16),
}

/// Why a session ends (§17.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Condition {
    /// The request is malformed.
    BadRequest,
    /// We do not serve this domain.
    HostUnknown,
    /// The request names no domain.
    ImproperAddressing,
    /// The server has failed.
    InternalServerError,
    /// There is no such session, number, answer or key.
    ItemNotFound,
    /// Another request has ended the session.
    OtherRequest,
    /// The client breaks the rules of the session.
    PolicyViolation,
    /// The stream is lost.
    RemoteConnectionFailed,
    /// The stream has ended with an error, which stands in the answer.
    RemoteStreamError,
    /// The server ends.
    SystemShutdown,
}

impl Condition {
    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::HostUnknown => "host-unknown",
            Self::ImproperAddressing => "improper-addressing",
            Self::InternalServerError => "internal-server-error",
            Self::ItemNotFound => "item-not-found",
            Self::OtherRequest => "other-request",
            Self::PolicyViolation => "policy-violation",
            Self::RemoteConnectionFailed => "remote-connection-failed",
            Self::RemoteStreamError => "remote-stream-error",
            Self::SystemShutdown => "system-shutdown",
        }
    }

    /// The HTTP error that an old client gets instead (§17.1).
    fn status(self) -> Option<u16> {
        match self {
            Self::BadRequest => Some(400),
            Self::PolicyViolation => Some(403),
            Self::ItemNotFound => Some(404),
            _ => None,
        }
    }

    /// The answer that ends a session, or says that there is none. `is_legacy`: the client is known to be
    /// an old one.
    #[must_use]
    pub fn answer(self, is_legacy: bool) -> Answer {
        match self.status() {
            Some(status) if is_legacy => Answer::Status(status),
            _ => Answer::Body(bytes(
                &body().attr("type", "terminate").attr("condition", self.word()),
            )),
        }
    }
}

/// The answer to a client that is to begin its session at another address (§17.2).
#[must_use]
pub fn elsewhere(address: &str) -> Answer {
    let node = body().attr("type", "terminate").attr("condition", "see-other-uri");
    Answer::Body(bytes(&node.child(element("uri").text(address))))
}

/// What an answer says beside the elements of the stream.
#[derive(Debug, Default)]
pub(super) struct Says<'a> {
    /// It creates the session: its id, its terms, and the stream if that is open.
    pub(super) created: Option<(&'a str, &'a Terms, Option<&'a Opened>)>,
    /// §9.1: up to here all requests have come.
    pub(super) ack: Option<u64>,
    /// §9.2: this answer seems to be lost, which was given so many milliseconds ago.
    pub(super) report: Option<(u64, u128)>,
    /// Whether it ends the session.
    pub(super) terminates: bool,
    /// Why, if not because the client wants it.
    pub(super) condition: Option<Condition>,
    /// Elements of the stream.
    pub(super) payload: &'a [u8],
}

/// What is told of a stream that is open.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    /// The id of the stream.
    pub(super) id: String,
    /// The domain.
    pub(super) from: String,
}

impl Says<'_> {
    pub(super) fn bytes(&self) -> Bytes {
        let mut node = body();
        if let Some((sid, terms, opened)) = self.created {
            node = created(node, sid, terms, opened);
        }
        node = node.maybe_attr("ack", self.ack.map(|rid| rid.to_string()));
        if let Some((rid, time)) = self.report {
            node = node.attr("report", rid.to_string()).attr("time", time.to_string());
        }
        if self.terminates {
            node = node.attr("type", "terminate");
            node = node.maybe_attr("condition", self.condition.map(Condition::word));
        }
        if memchr::memmem::find(self.payload, b"<stream:").is_some() {
            // XEP-0206 §2.
            node = node.attr("xmlns:stream", ns::STREAM);
        }
        bytes(&node.raw(self.payload))
    }
}

/// §17.3: the client is to send the request again.
pub(super) fn recoverable() -> Answer {
    Answer::Body(bytes(&body().attr("type", "error")))
}

fn created(node: Node, sid: &str, terms: &Terms, opened: Option<&Opened>) -> Node {
    let seconds = |duration: std::time::Duration| duration.as_secs().to_string();
    let node = node
        .attr("xmlns:xmpp", ns::XBOSH)
        .attr("sid", sid)
        .attr("wait", seconds(terms.wait))
        .attr("hold", terms.hold.to_string())
        .attr("requests", terms.requests().to_string())
        .attr("inactivity", seconds(terms.inactivity))
        .attr("polling", seconds(POLLING))
        .attr("maxpause", seconds(terms.pause))
        .attr("secure", "true")
        .attr("xmpp:restartlogic", "true")
        .maybe_attr("ver", terms.ver.map(|(major, minor)| format!("{major}.{minor}")));
    match opened {
        None => node.attr("from", &terms.to),
        // XEP-0206 §4.
        Some(Opened { id, from }) => {
            node.attr("xmpp:version", "1.0").attr("authid", id).attr("from", from)
        }
    }
}

fn body() -> Node {
    element("body").ns(ns::BOSH)
}

fn bytes(node: &Node) -> Bytes {
    node.to_bytes().into()
}
