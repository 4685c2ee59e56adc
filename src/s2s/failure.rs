//! Why another server cannot be reached.

use std::fmt;
use std::net::SocketAddr;

use crate::ns;
use crate::stanza::{Condition, StreamCondition};
use crate::tls::CertificateFault;
use crate::xml::Frame;

/// Why another server cannot be reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Failure {
    /// What the senders of waiting stanzas are told.
    pub(super) condition: Condition,
    /// The same in words.
    pub(super) why: &'static str,
    /// The word in the metrics.
    pub(super) word: &'static str,
    /// Whom it concerns.
    pub(super) scope: Scope,
    /// Whether a later attempt will fail, too (RFC 6120 §8.3.3.17).
    pub(super) is_permanent: bool,
    /// Whether there was a connection to it.
    pub(super) is_connected: bool,
}

/// For whom a server cannot be reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scope {
    /// For all domains of ours.
    All,
    /// For this one of our domains: the other server does not believe it, or does not want it.
    Pair,
}

impl Failure {
    /// There is no such server.
    pub(super) const fn not_found(why: &'static str) -> Self {
        Self { condition: Condition::RemoteServerNotFound, word: "not-found", ..Self::timeout(why) }
    }

    /// It does not answer.
    pub(super) const fn timeout(why: &'static str) -> Self {
        Self {
            condition: Condition::RemoteServerTimeout,
            why,
            word: "timeout",
            scope: Scope::All,
            is_permanent: false,
            is_connected: true,
        }
    }

    /// There was no connection to it.
    pub(super) const fn before_connected(self) -> Self {
        Self { is_connected: false, ..self }
    }

    /// It breaks the protocol, or cannot do what is needed.
    pub(super) const fn protocol(why: &'static str) -> Self {
        Self { word: "protocol", ..Self::timeout(why) }
    }

    /// We do not believe it.
    pub(super) const fn authentication(why: &'static str) -> Self {
        Self { word: "authentication", is_permanent: true, ..Self::timeout(why) }
    }

    /// It does not believe us.
    pub(super) const fn of_pair(why: &'static str) -> Self {
        Self { scope: Scope::Pair, ..Self::authentication(why) }
    }

    /// It closes its streams as soon as they are open.
    pub(super) const fn useless() -> Self {
        Self { scope: Scope::Pair, ..Self::protocol("the other server closes its streams") }
    }

    /// It has ended the stream with an error.
    pub(super) fn refused(condition: Option<StreamCondition>) -> Self {
        match condition {
            Some(StreamCondition::HostUnknown | StreamCondition::HostGone) => {
                Self::not_found("the server at this domain does not serve it")
            }
            Some(StreamCondition::PolicyViolation) => {
                Self::of_pair("the other server refuses to talk to this one")
            }
            Some(
                StreamCondition::NotAuthorized
                | StreamCondition::InvalidFrom
                | StreamCondition::ImproperAddressing,
            ) => Self::of_pair("the other server does not believe who we are"),
            _ => Self::protocol("the other server has ended the stream with an error"),
        }
    }
}

impl From<CertificateFault> for Failure {
    fn from(fault: CertificateFault) -> Self {
        Self::authentication(match fault {
            CertificateFault::Expired => "the certificate of the other server has expired",
            CertificateFault::Missing => "the other server shows no certificate",
            CertificateFault::NotYet => "the certificate of the other server is not valid yet",
            CertificateFault::OtherName => {
                "the certificate of the other server does not name the domain"
            }
            CertificateFault::Untrusted => {
                "the certificate of the other server is of no trusted authority"
            }
            CertificateFault::Unusable => "the certificate of the other server cannot be used",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)
    }
}

/// The stanza is larger than the limit that the other server has announced (XEP-0478).
pub(super) const TOO_LARGE: Failure = Failure {
    condition: Condition::PolicyViolation,
    word: "too-large",
    ..Failure::timeout("the stanza is larger than the other server takes")
};

/// The stream has ended before the other server acknowledged it.
pub(super) const DOUBTFUL: Failure = Failure {
    word: "doubtful",
    ..Failure::timeout("the stream to the other server has ended: it may have this, or not")
};

/// Too many attempts run at the same time.
pub(super) const BUSY: Failure = Failure {
    condition: Condition::ResourceConstraint,
    word: "busy",
    ..Failure::timeout("too many other servers are being tried")
};

/// The server ends.
pub(super) const STOPPING: Failure = Failure::timeout("this server is shutting down");

/// Logs the error with which another server ends its stream, if this is one: a known condition, and the beginning of its
/// text.
pub(super) fn log_error_of_peer(frame: &Frame, domain: Option<&str>, peer: SocketAddr) {
    let root = frame.root();
    if !root.is(ns::STREAM, "error") {
        return;
    }
    let mut children = root.children().filter(|child| child.ns() == ns::STREAM_ERRORS);
    let condition = children.find_map(|child| StreamCondition::named(child.name()));
    let condition = condition.map(StreamCondition::as_str);
    let text = root.child(ns::STREAM_ERRORS, "text");
    let text = text.map(|text| text.text().chars().take(MOST_WORDS).collect::<String>());
    tracing::info!(domain, %peer, condition, ?text, "another server ends a stream with an error");
}

/// How many characters of a text of another server are logged.
const MOST_WORDS: usize = 200;
