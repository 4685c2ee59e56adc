//! Who has sent a stanza. Established by authentication, never read from the stanza.

use smol_str::SmolStr;

use crate::jid::{BareJid, FullJid};
use crate::session::{Session, SessionRef};

/// Who has sent a stanza. `router/accept.rs` checks that its `from` belongs to the origin.
#[derive(Clone, Debug)]
pub enum Origin<'a> {
    /// A component that acts for an account, or for a host, as a privileged entity (XEP-0356). It may do what the user may
    /// do by a client, except what needs a session.
    Account {
        /// The address in whose name it acts.
        user: BareJid,
        /// The configured domain of the component, for which it has authenticated.
        component: SmolStr,
    },
    /// A client, by its session. The stanza is handled in the task that owns the session.
    Client(&'a Session),
    /// An external component. The domain is the configured one, for which it has authenticated (XEP-0114 §3). It may own
    /// further ones below it.
    Component(SmolStr),
    /// This server, on behalf of a host or of one of its accounts.
    Internal,
    /// Another server that has authenticated for this domain (RFC 6120 §13.7.2).
    Server(SmolStr),
    /// The service with this domain.
    Service(SmolStr),
}

impl<'a> Origin<'a> {
    /// A word for the log.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Account { .. } => "privileged component",
            Self::Client(_) => "client",
            Self::Component(_) => "component",
            Self::Internal => "server",
            Self::Server(_) => "remote server",
            Self::Service(_) => "service",
        }
    }

    /// The session, if the origin is a client, for what only the owner of a session may do.
    #[must_use]
    pub fn owned(&self) -> Option<&'a Session> {
        match self {
            Self::Client(session) => Some(session),
            Self::Account { .. }
            | Self::Component(_)
            | Self::Internal
            | Self::Server(_)
            | Self::Service(_) => None,
        }
    }

    /// The session, if the origin is a client.
    #[must_use]
    pub fn session(&self) -> Option<&'a SessionRef> {
        self.owned().map(Session::handle)
    }

    /// The full address, if the origin is a client.
    #[must_use]
    pub fn client(&self) -> Option<&'a FullJid> {
        self.session().map(SessionRef::jid)
    }

    /// The configured domain of the component, also if it acts for an account. `None` if the origin is no component.
    #[must_use]
    pub fn component(&self) -> Option<&str> {
        match self {
            Self::Account { component, .. } | Self::Component(component) => Some(component),
            Self::Client(_) | Self::Internal | Self::Server(_) | Self::Service(_) => None,
        }
    }

    /// The account for which the origin acts, if it is a client or acts for one.
    #[must_use]
    pub fn user(&self) -> Option<BareJid> {
        match self {
            Self::Account { user, .. } => Some(user.clone()),
            _ => self.client().map(|client| client.to_bare()),
        }
    }

    /// Whether the origin is a client of this account, or acts for it.
    #[must_use]
    pub fn is_of(&self, user: &BareJid) -> bool {
        match self {
            Self::Account { user: account, .. } => account == user,
            _ => self.client().is_some_and(|jid| jid.bare_str() == user.as_str()),
        }
    }
}
