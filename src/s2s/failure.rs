//! Why another server cannot be reached.

use std::fmt;

use crate::stanza::{Condition, StreamCondition};
use crate::tls::CertificateFault;

/// Why another server cannot be reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Failure {
    /// What the senders of waiting stanzas are told.
    pub(super) condition: Condition,
    /// The same in words.
    pub(super) why: &'static str,
    /// The word in the metrics.
    pub(super) word: &'static str,
}

impl Failure {
    /// There is no such server.
    pub(super) const fn not_found(why: &'static str) -> Self {
        Self { condition: Condition::RemoteServerNotFound, why, word: "not-found" }
    }

    /// It does not answer.
    pub(super) const fn timeout(why: &'static str) -> Self {
        Self { condition: Condition::RemoteServerTimeout, why, word: "timeout" }
    }

    /// It breaks the protocol, or cannot do what is needed.
    pub(super) const fn protocol(why: &'static str) -> Self {
        Self { condition: Condition::RemoteServerTimeout, why, word: "protocol" }
    }

    /// It does not believe us, or we do not believe it.
    pub(super) const fn authentication(why: &'static str) -> Self {
        Self { condition: Condition::RemoteServerTimeout, why, word: "authentication" }
    }

    /// It has ended the stream with an error.
    pub(super) fn refused(condition: Option<StreamCondition>) -> Self {
        match condition {
            Some(StreamCondition::HostUnknown | StreamCondition::HostGone) => {
                Self::not_found("the server at this domain does not serve it")
            }
            Some(StreamCondition::PolicyViolation) => {
                Self::authentication("the other server refuses to talk to this one")
            }
            Some(StreamCondition::NotAuthorized) => {
                Self::authentication("the other server does not believe who we are")
            }
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

/// The server ends.
pub(super) const STOPPING: Failure = Failure::timeout("this server is shutting down");
