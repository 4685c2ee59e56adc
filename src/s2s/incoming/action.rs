//! What the machine of an incoming stream asks of its driver.

use std::sync::Arc;

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::s2s::managed::Step;
use crate::s2s::pair::Pair;
use crate::stanza::StreamError;
use crate::stream::header::StreamHeader;
use crate::tls::PeerCertificate;
use crate::xml::{Frame, Node};

/// What the driver is to do, in order.
#[derive(Debug)]
pub(super) enum Action {
    /// Open our stream with this header.
    Open(StreamHeader),
    /// Write this element.
    Send(Node),
    /// Make the TLS handshake. What was read before it is thrown away; then report
    /// [`super::machine::Incoming::secured`].
    Secure,
    /// A new stream begins: expect a header.
    Restart,
    /// Ask the other domain of the pair whether it has made this key; then report
    /// [`super::machine::Incoming::checked`].
    Verify(Question),
    /// The pair is proven.
    Proven(Pair, Proof),
    /// Log that the peer could not prove this domain, and why.
    Refused(Option<Pair>, &'static str),
    /// Do what stream management asks for.
    Manage(Step),
    /// Carry this stanza of this domain.
    Stanza(SmolStr, Frame),
    /// End the stream, with the error if there is one.
    Close(Option<StreamError>),
}

/// A key that is to be verified.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) pair: Pair,
    pub(super) key: String,
    /// The certificate of the peer, if others must name it for the domain of the peer first (DANE, POSH).
    pub(super) certificate: Option<Arc<PeerCertificate>>,
}

/// How a pair was proven.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Proof {
    /// By a certificate (SASL EXTERNAL).
    Certificate,
    /// By a call back.
    Dialback,
}

impl Proof {
    /// The word in the metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Dialback => "dialback",
        }
    }
}

/// Actions in order.
pub(super) type Actions = SmallVec<[Action; 3]>;
