//! What the machine of an outgoing stream asks of its driver.

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::s2s::dialback::Verdict;
use crate::s2s::failure::Failure;
use crate::s2s::managed::Step;
use crate::stanza::StreamError;
use crate::stream::header::StreamHeader;
use crate::xml::{Frame, Node};

/// What the driver is to do, in order.
#[derive(Debug)]
pub(in crate::s2s) enum Action {
    /// Open our stream with this header.
    Open(StreamHeader),
    /// Write this element.
    Send(Node),
    /// Make the TLS handshake; then report [`super::Outgoing::secured`].
    Secure,
    /// A new stream begins: expect a header.
    Restart,
    /// Stanzas may be sent.
    Ready,
    /// The other server has said whether it has made a key.
    Answered(Verdict),
    /// What the other server offers, for [`Purpose::Look`].
    Seen(Seen),
    /// Do what stream management asks for.
    Manage(Step),
    /// Carry this stanza of the other server.
    Stanza(Frame),
    /// Close the stream, which cannot be used.
    Fail(Failure),
    /// End the stream, with the error if there is one.
    Close(Option<StreamError>),
}

/// What another server offers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::s2s) struct Seen {
    /// A login by certificate.
    pub(in crate::s2s) has_external: bool,
    /// Dialback.
    pub(in crate::s2s) has_dialback: bool,
    /// All its features, for people.
    pub(in crate::s2s) features: Vec<String>,
}

/// How far stream management has come (XEP-0198).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Management {
    /// There is none.
    #[default]
    Off,
    /// We have asked for it: what we send is counted.
    Asked,
    /// What the other server sends is counted, too.
    On,
}

/// What connects this stream with the previous one and with the next one (XEP-0198 §5).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Resumption {
    /// The id of the previous stream, if not all was acknowledged on it, and how much had come on it.
    pub(super) previous: Option<(SmolStr, u32)>,
    /// How much the other server has handled on it.
    pub(super) handled: Option<u32>,
    /// How much had come on it, if this stream takes its place.
    pub(super) heard: Option<u32>,
    /// The id of this stream.
    pub(super) own: Option<SmolStr>,
}

/// Actions in order.
pub(in crate::s2s) type Actions = SmallVec<[Action; 2]>;

/// What a stream is for.
#[derive(Clone, Debug)]
pub(in crate::s2s) enum Purpose {
    /// Stanzas from our domain to the other one.
    Stanzas,
    /// To look what the other server offers.
    Look,
    /// To ask whether the other domain has made a key (XEP-0220 §2.1.2).
    Verify {
        /// The id of the stream on which the key was sent.
        stream: String,
        /// The key.
        key: String,
    },
}
