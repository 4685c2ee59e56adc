//! Values that are held in memory and have changed in the store.
//!
//! Every change of what [`ServerState`](super::ServerState) holds of the store passes
//! [`ServerState::invalidate`](super::ServerState::invalidate), in the node that made it. So there is one
//! place from which other nodes on the same database can be told, and one that they call when they are told: an
//! [`Invalidation`] is a value that can be sent.

use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;

/// What has changed in the store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Invalidation {
    /// An account was made or removed: everything that is held of this address.
    Account(BareJid),
    /// Which accounts are administrators.
    Admins,
    /// Whose messages an account wants in its archive (XEP-0441).
    ArchivePreferences(BareJid),
    /// Whom an account has blocked (XEP-0191).
    BlockList(BareJid),
    /// The bookmarks of an account (XEP-0402). Told together with [`Invalidation::Nodes`].
    Bookmarks(BareJid),
    /// The card of an account (XEP-0054).
    Card(BareJid),
    /// When an account was last seen (XEP-0012).
    LastActivity(BareJid),
    /// The push registrations of an account (XEP-0357).
    Push(BareJid),
    /// The contacts of an account (RFC 6121 §2).
    Roster(BareJid),
    /// What an account does with strangers, and whom it knows.
    Strangers(BareJid),
    /// An account has written to an address, which is therefore no stranger.
    WrittenTo {
        /// The account.
        user: BareJid,
        /// The bare address.
        other: BareJid,
        /// When.
        at: Timestamp,
    },
    /// The nodes of an account or of a service (XEP-0060), their items included.
    Nodes(BareJid),
}
