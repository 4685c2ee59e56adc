//! What a negotiation asks of its driver, and how far a stream has come.

use std::sync::Arc;

use smallvec::SmallVec;

use super::profile::Inline;
use crate::auth::{TokenLogin, Upgrade};
use crate::jid::BareJid;
use crate::stanza::{Iq, StreamError};
use crate::storage::ScramHash;
use crate::stream::header::StreamHeader;
use crate::xml::Node;

/// What the driver is to do, in order.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Open our stream with this header.
    Open(StreamHeader),
    /// Write this element.
    Send(Node),
    /// Write these stream features.
    Features(Arc<Node>),
    /// Find the mechanisms with which this account can be used (XEP-0388 §2.1); then report
    /// [`Negotiation::mechanisms_found`].
    FindMechanisms(BareJid),
    /// Make the TLS handshake. What was read before it is thrown away; then report
    /// [`Negotiation::secured`].
    Secure,
    /// Begin a SASL exchange with this mechanism, initial response, and what the client says of its
    /// token; then report [`Negotiation::sasl`].
    Begin(String, Option<Vec<u8>>, Option<TokenLogin>),
    /// Continue the SASL exchange with this message; then report [`Negotiation::sasl`].
    Continue(Vec<u8>),
    /// The exchange is over; forget it.
    Forget,
    /// The client has logged in and its stream goes on: read within the limits of an account.
    Authenticated,
    /// Find which of these upgrades the account needs (XEP-0480 §2.2); then report
    /// [`Negotiation::upgrades_found`].
    FindUpgrades(Vec<ScramHash>),
    /// Add the keys that follow from this salted password to the account (XEP-0480 §3); then report
    /// [`Negotiation::upgraded`].
    Upgrade(Upgrade, Vec<u8>),
    /// Make a token, if the client wants or needs one (XEP-0484); then report
    /// [`Negotiation::token_issued`].
    IssueToken(Box<Inline>),
    /// Answer this request about registration (XEP-0077, XEP-0445), of a client without an account.
    Register(Box<Iq>),
    /// A new stream begins: expect a header, and read within the limits of this stage.
    Restart(Stage),
    /// Bind a session to this resource, or to one that the server makes; then report
    /// [`Negotiation::bound`].
    Bind(Option<String>),
    /// Bind a session and do what else the client asks for (XEP-0386 §3.2); then report
    /// [`Negotiation::bound_inline`].
    BindInline(Box<Inline>),
    /// Resume the session with this id, of which the client has handled so many stanzas
    /// (XEP-0198 §5); then report [`Negotiation::resumed`].
    Resume(String, u32),
    /// There is a session and negotiation is over.
    Run,
    /// End the stream, with the error if there is one.
    Close(Option<StreamError>),
}

/// Actions in order.
pub(crate) type Actions = SmallVec<[Action; 3]>;

/// How far a stream has come. Each stage begins with a new stream (RFC 6120 §4.3.3), but after a login by
/// XEP-0388 the stream goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// Not encrypted: nothing but STARTTLS.
    Plain,
    /// Encrypted: nothing but SASL.
    Secured,
    /// Authenticated: nothing but bind.
    Authenticated,
}
