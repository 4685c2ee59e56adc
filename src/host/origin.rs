//! Who has sent a stanza. Established by authentication, never read from the stanza.

use smol_str::SmolStr;

use crate::jid::{BareJid, FullJid};
use crate::session::SessionRef;

/// Who has sent a stanza. `router/accept.rs` checks that its `from` belongs to the origin.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A client, by its session.
    Client(SessionRef),
    /// An external component that has authenticated for this domain (XEP-0114 §3).
    Component(SmolStr),
    /// This server, on behalf of a host or of one of its accounts.
    Internal,
    /// Another server that has authenticated for this domain (RFC 6120 §13.7.2).
    Server(SmolStr),
    /// The service with this domain.
    Service(SmolStr),
}

impl Origin {
    /// The session, if the origin is a client.
    #[must_use]
    pub fn session(&self) -> Option<&SessionRef> {
        match self {
            Self::Client(session) => Some(session),
            Self::Component(_) | Self::Internal | Self::Server(_) | Self::Service(_) => None,
        }
    }

    /// The full address, if the origin is a client.
    #[must_use]
    pub fn client(&self) -> Option<&FullJid> {
        self.session().map(SessionRef::jid)
    }

    /// Whether the origin is a client of this account.
    #[must_use]
    pub fn is_of(&self, user: &BareJid) -> bool {
        self.client().is_some_and(|jid| jid.bare_str() == user.as_str())
    }
}
