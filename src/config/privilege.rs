//! What a component may do as a privileged entity (XEP-0356), as the configuration says it.

use super::section::choice;
use crate::stanza::IqKind;

choice! {
    /// Which requests are allowed (XEP-0356 §4.1, §6.1).
    pub enum RequestGrant {
        /// None.
        None = "none";
        /// Those of type `get`.
        Get = "get";
        /// Those of type `set`.
        Set = "set";
        /// Those of both types.
        Both = "both";
    }
}

choice! {
    /// Which messages are allowed (XEP-0356 §5.1).
    pub enum MessageGrant {
        /// None.
        None = "none";
        /// Messages in the name of users and of the host.
        Outgoing = "outgoing";
    }
}

choice! {
    /// Whose presence is sent (XEP-0356 §7.1, §7.4).
    pub enum PresenceGrant {
        /// Nobody's.
        None = "none";
        /// That of users.
        ManagedEntity = "managed_entity";
        /// That of users and of their contacts.
        Roster = "roster";
    }
}

impl RequestGrant {
    /// Whether a request of this type is allowed.
    #[must_use]
    pub fn allow(self, kind: IqKind) -> bool {
        match kind {
            IqKind::Get => matches!(self, Self::Get | Self::Both),
            IqKind::Set => matches!(self, Self::Set | Self::Both),
            IqKind::Error | IqKind::Result => false,
        }
    }
}

/// A namespace of requests that the component answers instead of the server (XEP-0355 §4.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delegation {
    /// The namespace of the payload.
    pub ns: String,
    /// Attributes that the payload must have; without them, the server answers.
    pub attributes: Vec<String>,
}

/// A namespace, and the requests that are allowed in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamespaceGrant {
    /// The namespace of the payload.
    pub ns: String,
    /// The requests.
    pub requests: RequestGrant,
}
