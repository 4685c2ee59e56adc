//! Translates the configuration of a service into the types of the engine (`src/muc/`).

use crate::config::{RoomCreators, RoomWhois, RoomsConfig};
use crate::host::Cx;
use crate::jid::BareJid;
use crate::muc::{RoomConfig, RoomLimits, Whois};
use crate::payload::disco::Identity;
use crate::storage;

/// What the rooms of a service may hold.
pub(super) fn limits(of: &RoomsConfig) -> RoomLimits {
    RoomLimits {
        occupants: of.occupants,
        sessions_of_user: of.sessions_per_user,
        shown: of.shown_occupants,
        members: of.affiliations,
        absent: of.absent_members,
        nick_bytes: of.nickname,
        history: of.past_messages,
        history_bytes: of.past_bytes,
        presence_bytes: of.presence,
    }
}

/// The configuration of a new room, until its creator chooses another one.
pub(super) fn new_room(of: &RoomsConfig) -> RoomConfig {
    RoomConfig {
        is_persistent: of.persistent,
        is_public: of.public,
        members_only: of.members_only,
        whois: match of.whois {
            RoomWhois::Anyone => Whois::Anyone,
            RoomWhois::Moderators => Whois::Moderators,
        },
        archive: of.archive,
        max_history: of.history,
        ..RoomConfig::default()
    }
}

/// What the service is (XEP-0045 §6.2).
pub(super) fn identity(of: &RoomsConfig) -> Identity {
    Identity { category: "conference", kind: "text", name: Some(of.name.as_str().into()) }
}

/// Whether the sender of a stanza may do in each room what an owner may do.
///
/// # Errors
/// If the store fails.
pub(super) async fn is_admin(
    cx: &Cx<'_>,
    of: &RoomsConfig,
    user: &BareJid,
) -> storage::Result<bool> {
    Ok(of.admins.contains(user) || cx.is_of_admin().await?)
}

/// Whether the sender of a stanza may make rooms.
///
/// # Errors
/// If the store fails.
pub(super) async fn may_create(
    cx: &Cx<'_>,
    of: &RoomsConfig,
    user: &BareJid,
) -> storage::Result<bool> {
    match of.create {
        RoomCreators::Everybody => Ok(true),
        // An anonymous user has no account: what it makes would be nobody's in a moment.
        RoomCreators::Local if cx.server.host(user.domain()).is_some() => {
            Ok(cx.has_account(user).await? || is_admin(cx, of, user).await?)
        }
        RoomCreators::Admins | RoomCreators::Local => is_admin(cx, of, user).await,
    }
}

/// Rooms on a page of a list, at most.
pub(super) const PAGE: usize = 250;
