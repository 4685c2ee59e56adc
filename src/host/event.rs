//! The events of which features are told, see [`super::lifecycle`].

use super::node_change::NodeChange;
use crate::jid::{BareJid, Jid};
use crate::session::{Interests, SessionRef};
use crate::stanza::{Message, Presence};
use crate::storage::RosterItem;

/// Something that has happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// An account and all its data have been removed from the store. Its sessions are still there, and
    /// are closed next. Told by [`remove_account`](super::remove_account).
    AccountRemoved {
        /// The account.
        user: &'a BareJid,
        /// The roster as it was.
        contacts: &'a [RosterItem],
    },
    /// What a contact may see of a user has changed with the user's roster: it is in other groups, or it may not see
    /// the presence of the user any more. Told by `modules/roster.rs` and `router/subscription.rs`.
    ContactChanged {
        /// One of our users.
        user: &'a BareJid,
        /// The contact, here or on another server.
        contact: &'a BareJid,
        /// The groups in which the contact was before. `None`: they have not changed.
        groups: Option<&'a [String]>,
    },
    /// The nodes of which a session wants to hear ([`SessionRef::wants`]) are known now, or have changed
    /// (XEP-0163 §4.3.3). Told by `modules/capabilities.rs`: for each time that a session is available, once
    /// after [`Event::SessionAvailable`], at once or when the client was asked, and again when they change.
    /// Not told of a client without interests, nor when its session has ended or is unavailable: then it has no
    /// interests. Nor when a session is resumed: its interests are the same as before.
    InterestsChanged {
        /// The session.
        session: &'a SessionRef,
        /// What it wanted before; what it wants now, it knows itself.
        before: &'a Interests,
    },
    /// A node of an account or of a service has changed: its items, its configuration, or it was deleted
    /// (XEP-0060). Told by [`AccountNodes`](super::AccountNodes), by whomever it was changed.
    ItemsChanged {
        /// What has changed.
        change: &'a NodeChange,
    },
    /// A client of a contact on another server is available to a user, and it is known of which nodes it wants to hear
    /// (XEP-0163 §4.3.3): once, until it is gone or wants others. Told by `modules/capabilities.rs`.
    RemoteClientAvailable {
        /// One of our users.
        user: &'a BareJid,
        /// The client, by its full address.
        client: &'a Jid,
        /// The nodes.
        interests: &'a Interests,
    },
    /// A client has entered a room of ours (XEP-0045 §7.2). Told by `modules/muc`, when the client was told who is
    /// there.
    RoomEntered {
        /// The session.
        session: &'a SessionRef,
        /// The room.
        room: &'a BareJid,
        /// The nickname that the user has there.
        nick: &'a str,
        /// The name of the room, for people; empty: none.
        name: &'a str,
        /// The password of the room, if it has one.
        password: Option<&'a str>,
    },
    /// A client has left a room of ours because the user wanted that: it has sent unavailable presence to the room
    /// (XEP-0045 §7.14), and some seconds later it is still available. So it has not left room by room to go
    /// offline. It may have entered again. Or the user may not be in the room any more: the room is destroyed, or the
    /// user is banned or no member. Told by `modules/muc`.
    RoomLeft {
        /// The session.
        session: &'a SessionRef,
        /// The room.
        room: &'a BareJid,
    },
    /// A room of ours has a new message for all (XEP-0045 §7.4). Told by `modules/muc`, when the occupants have
    /// been given it.
    RoomMessage {
        /// The message, from the occupant who has written it.
        message: &'a Message,
        /// Users of this server with clients that may not get the message: members who are not in the room, and occupants
        /// with other devices than the one in the room.
        users: &'a [RoomListener<'a>],
        /// Only members enter: all that is said there is for them.
        is_private: bool,
    },
    /// The server ends, and with it these sessions, which the next server cannot continue. They are still there, and
    /// are closed next; stanzas that they get now are written before that. Told by `c2s/server_restart.rs`.
    ServerEnds {
        /// The sessions.
        sessions: &'a [SessionRef],
    },
    /// A session has become available (RFC 6121 §4.2): it has sent its first available presence, or the
    /// first after unavailable presence. Told by `router/presence.rs`, after the contacts.
    SessionAvailable {
        /// The session.
        session: &'a SessionRef,
        /// What it has sent.
        presence: &'a Presence,
    },
    /// A session has ended and is no longer in the table. If it was available, it has become unavailable
    /// before. A session that waits for its client to resume (XEP-0198 §5), or for the next start of the
    /// server, has not ended. Told by `router/session_end.rs`.
    SessionEnded {
        /// The session.
        session: &'a SessionRef,
    },
    /// An available session has become unavailable: by unavailable presence (RFC 6121 §4.5), by its end,
    /// or because another one has its address. Told by `router/presence.rs`, after the contacts.
    SessionUnavailable {
        /// The session.
        session: &'a SessionRef,
        /// The unavailable presence: the client's, or ours on its behalf.
        presence: &'a Presence,
    },
    /// A contact may see the presence of the user from now on (RFC 6121 §3.1.5, §3.4.2), or has asked
    /// for the subscription that it already has and is shown all again. Told by
    /// `router/subscription.rs`, after the contact has been sent the presence of the user.
    SubscriptionOpened {
        /// One of our users.
        user: &'a BareJid,
        /// The contact, here or on another server.
        contact: &'a BareJid,
    },
}

/// A user who should be notified of the messages of a room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RoomListener<'a> {
    /// The user.
    pub user: &'a BareJid,
    /// The nickname that the user has in the room; `None`: no session of the user is in it.
    pub nick: Option<&'a str>,
}

/// The kinds of events. See [`Event`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EventKind {
    /// [`Event::AccountRemoved`]
    AccountRemoved,
    /// [`Event::ContactChanged`]
    ContactChanged,
    /// [`Event::InterestsChanged`]
    InterestsChanged,
    /// [`Event::ItemsChanged`]
    ItemsChanged,
    /// [`Event::RemoteClientAvailable`]
    RemoteClientAvailable,
    /// [`Event::RoomEntered`]
    RoomEntered,
    /// [`Event::RoomLeft`]
    RoomLeft,
    /// [`Event::RoomMessage`]
    RoomMessage,
    /// [`Event::ServerEnds`]
    ServerEnds,
    /// [`Event::SessionAvailable`]
    SessionAvailable,
    /// [`Event::SessionEnded`]
    SessionEnded,
    /// [`Event::SessionUnavailable`]
    SessionUnavailable,
    /// [`Event::SubscriptionOpened`]
    SubscriptionOpened,
}

impl Event<'_> {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self {
            Self::AccountRemoved { .. } => EventKind::AccountRemoved,
            Self::ContactChanged { .. } => EventKind::ContactChanged,
            Self::InterestsChanged { .. } => EventKind::InterestsChanged,
            Self::ItemsChanged { .. } => EventKind::ItemsChanged,
            Self::RemoteClientAvailable { .. } => EventKind::RemoteClientAvailable,
            Self::RoomEntered { .. } => EventKind::RoomEntered,
            Self::RoomLeft { .. } => EventKind::RoomLeft,
            Self::RoomMessage { .. } => EventKind::RoomMessage,
            Self::ServerEnds { .. } => EventKind::ServerEnds,
            Self::SessionAvailable { .. } => EventKind::SessionAvailable,
            Self::SessionEnded { .. } => EventKind::SessionEnded,
            Self::SessionUnavailable { .. } => EventKind::SessionUnavailable,
            Self::SubscriptionOpened { .. } => EventKind::SubscriptionOpened,
        }
    }
}
