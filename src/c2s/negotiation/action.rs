//! What a negotiation asks of its driver, how far a stream has come, and what does not change meanwhile.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
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

/// What clients are told of limits (XEP-0478).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The largest stanza, in bytes.
    pub(crate) bytes: usize,
    /// The silence after which a connection is given up.
    pub(crate) idle: Duration,
}

/// What does not change during a negotiation.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The served domains. The first one is the default.
    pub(crate) domains: Vec<String>,
    /// The limits that are told before authentication.
    pub(crate) limits_before_auth: Limits,
    /// The limits that are told after authentication.
    pub(crate) limits: Limits,
    /// The capabilities of the domains (XEP-0115 §6.3, XEP-0390 §5.2).
    pub(crate) caps: Arc<FxHashMap<String, Vec<Node>>>,
    /// Clients may register accounts (XEP-0077), under TLS: all, or those with an invitation.
    pub(crate) registration: bool,
    /// Clients may show the token of an invitation (XEP-0445), under TLS.
    pub(crate) invitations: bool,
    /// How many failed logins close the stream (RFC 6120 §6.4.5).
    pub(crate) failures: u32,
    /// Sessions can be resumed (XEP-0198 §5).
    pub(crate) resumption: bool,
    /// The features that a client can enable when it binds a session (XEP-0386 §3.1).
    pub(crate) bind_features: Vec<&'static str>,
}
