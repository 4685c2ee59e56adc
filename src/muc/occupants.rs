//! Who is in a room. An occupant is a user under a nickname, with one or more sessions (XEP-0045 §7.2.8).

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::affiliation::Role;
use super::nick_skeleton::NicksBySkeleton;
use super::{extra, occupant_id};
use crate::jid::{BareJid, FullJid, Jid};
use crate::ns;
use crate::payload::datetime::Timestamp;
use crate::payload::delay;
use crate::stanza::{Presence, Stanza};
use crate::xml::ElementRef;

/// A user in the room.
#[derive(Clone, Debug)]
pub(super) struct Occupant {
    pub(super) nick: SmolStr,
    /// `room@service/nick`.
    pub(super) address: FullJid,
    /// The occupant id (XEP-0421).
    pub(super) id: SmolStr,
    /// The real address.
    pub(super) user: BareJid,
    pub(super) role: Role,
    /// An administrator of the service, who may be in each room (XEP-0045 §10). Not stored: after a restart it is
    /// known again when the occupant sends presence.
    pub(super) is_service_admin: bool,
    /// Its presence is broadcast.
    pub(super) is_shown: bool,
    /// The sessions, the newest last. Never empty while it is in the room.
    pub(super) seats: SmallVec<[Seat; 1]>,
    /// When it last asked for voice, if nobody has answered (XEP-0045 §7.13).
    pub(super) asked_for_voice: Option<Timestamp>,
}

/// A session of an occupant.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) session: Jid,
    /// Its presence, without what only the room may say, and packed.
    pub(super) presence: Presence,
    /// The priority in it (RFC 6121 §4.7.2.3).
    pub(super) priority: i8,
}

impl Seat {
    /// A session with this presence, which is not packed yet.
    pub(super) fn new(session: Jid, presence: Presence) -> Self {
        let priority = presence.priority();
        Self { session, presence: cleaned(presence), priority }
    }
}

impl Occupant {
    /// The session whose presence stands for the occupant: the one with the highest priority, of those the
    /// newest.
    pub(super) fn best(&self) -> Option<&Seat> {
        self.seats.iter().max_by_key(|seat| seat.priority)
    }

    pub(super) fn seat(&self, session: &Jid) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.session == *session)
    }

    pub(super) fn sessions(&self) -> impl Iterator<Item = &Jid> {
        self.seats.iter().map(|seat| &seat.session)
    }
}

/// All occupants of a room, by nickname, by session and by user.
#[derive(Clone, Debug, Default)]
pub(super) struct Occupants {
    by_nick: BTreeMap<SmolStr, Occupant>,
    by_session: FxHashMap<Jid, SmolStr>,
    by_user: FxHashMap<BareJid, SmallVec<[SmolStr; 1]>>,
    by_skeleton: NicksBySkeleton,
    /// All sessions, until one comes or goes.
    sessions: Option<Arc<[Jid]>>,
    shown: usize,
}

impl Occupants {
    pub(super) fn len(&self) -> usize {
        self.by_nick.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_nick.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Occupant> {
        self.by_nick.values()
    }

    /// How many have presence that is broadcast.
    pub(super) fn shown(&self) -> usize {
        self.shown
    }

    pub(super) fn get(&self, nick: &str) -> Option<&Occupant> {
        self.by_nick.get(nick)
    }

    /// The occupant to which a session belongs.
    pub(super) fn of_session(&self, session: &Jid) -> Option<&Occupant> {
        self.by_nick.get(self.by_session.get(session)?)
    }

    /// The occupants that a user is; most are one.
    pub(super) fn of_user(&self, user: &BareJid) -> impl Iterator<Item = &Occupant> {
        let nicks = self.by_user.get(user).into_iter().flatten();
        nicks.filter_map(|nick| self.by_nick.get(nick))
    }

    /// The users of all occupants, each once, with a nickname of theirs.
    pub(super) fn users(&self) -> impl Iterator<Item = (&BareJid, &str)> {
        self.by_user.iter().filter_map(|(user, nicks)| Some((user, nicks.first()?.as_str())))
    }

    /// The occupants whose nicknames have this skeleton.
    pub(super) fn with_skeleton(&self, skeleton: &str) -> impl Iterator<Item = &Occupant> {
        self.by_skeleton.with(skeleton).filter_map(|nick| self.by_nick.get(nick))
    }

    /// How many sessions a user has in the room.
    pub(super) fn sessions_of_user(&self, user: &BareJid) -> usize {
        self.of_user(user).map(|occupant| occupant.seats.len()).sum()
    }

    /// The sessions of all occupants.
    pub(super) fn sessions(&mut self) -> Arc<[Jid]> {
        let Self { by_nick, sessions, .. } = self;
        let all = || by_nick.values().flat_map(Occupant::sessions).cloned().collect();
        Arc::clone(sessions.get_or_insert_with(all))
    }

    /// Changes an occupant, but neither its nickname nor its sessions.
    pub(super) fn change(&mut self, nick: &str, change: impl FnOnce(&mut Occupant)) {
        if let Some(occupant) = self.by_nick.get_mut(nick) {
            let was_shown = occupant.is_shown;
            change(occupant);
            self.shown = self.shown + usize::from(occupant.is_shown) - usize::from(was_shown);
        }
    }

    /// Adds a session: to the occupant with this nickname, or as a new one.
    pub(super) fn add(&mut self, occupant: Occupant) {
        self.sessions = None;
        for seat in &occupant.seats {
            self.by_session.insert(seat.session.clone(), occupant.nick.clone());
        }
        if let Some(known) = self.by_nick.get_mut(&occupant.nick) {
            known.seats.extend(occupant.seats);
            return;
        }
        self.shown += usize::from(occupant.is_shown);
        let nicks = self.by_user.entry(occupant.user.clone()).or_default();
        nicks.push(occupant.nick.clone());
        self.by_skeleton.add(&occupant.nick);
        self.by_nick.insert(occupant.nick.clone(), occupant);
    }

    /// Removes an occupant with all its sessions.
    pub(super) fn remove(&mut self, nick: &str) -> Option<Occupant> {
        let occupant = self.by_nick.remove(nick)?;
        self.by_skeleton.remove(nick);
        self.sessions = None;
        self.shown -= usize::from(occupant.is_shown);
        for seat in &occupant.seats {
            self.by_session.remove(&seat.session);
        }
        if let Some(nicks) = self.by_user.get_mut(&occupant.user) {
            nicks.retain(|known| *known != nick);
            if nicks.is_empty() {
                self.by_user.remove(&occupant.user);
            }
        }
        Some(occupant)
    }

    /// Removes a session. The occupant goes with its last one: it is returned as it was then.
    pub(super) fn remove_session(&mut self, session: &Jid) -> Option<(Occupant, bool)> {
        let nick = self.by_session.get(session)?.clone();
        if self.by_nick.get(&nick)?.seats.len() == 1 {
            return self.remove(&nick).map(|occupant| (occupant, true));
        }
        self.by_session.remove(session);
        self.sessions = None;
        let occupant = self.by_nick.get_mut(&nick)?;
        occupant.seats.retain(|seat| seat.session != *session);
        Some((occupant.clone(), false))
    }
}

/// The presence of a session, as it was sent to the room, without what only the room may say (XEP-0045 §17.3), and
/// packed, since it is kept.
pub(super) fn cleaned(mut presence: Presence) -> Presence {
    let room = presence.head.to.as_ref().map(Jid::to_bare);
    presence.content.remove(|child| {
        is_of_room(child) || room.as_ref().is_some_and(|room| is_delayed_by(child, room))
    });
    let content = presence.content.packed();
    let mut head = presence.head;
    (head.from, head.to) = (None, None);
    Presence { head, kind: presence.kind, content }
}

/// Whether only a room may send this child: roles, addresses, occupant ids, hats.
pub(super) fn is_of_room(child: &ElementRef<'_>) -> bool {
    matches!(child.ns(), ns::MUC | ns::MUC_USER | occupant_id::NS | extra::HATS)
}

/// Whether two presences say the same.
pub(super) fn is_same(one: &Presence, other: &Presence) -> bool {
    let written = |presence: &Presence| {
        let mut presence = presence.clone();
        presence.head.id = None;
        Stanza::Presence(presence).to_bytes()
    };
    written(one) == written(other)
}

/// Whether this says that the room has delayed a stanza (XEP-0203), or does not say who has.
pub(super) fn is_delayed_by(child: &ElementRef<'_>, room: &BareJid) -> bool {
    let is_here = || {
        let from = child.attr("from").and_then(|from| Jid::parse(from.trim()).ok());
        from.is_none_or(|from| from == **room)
    };
    child.is("jabber:x:delay", "x") || (child.ns() == delay::NS && is_here())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Frame;

    #[test]
    fn only_the_room_says_that_it_has_delayed_presence() {
        let delay = |from: &str| {
            format!("<delay xmlns='urn:xmpp:delay'{from} stamp='2002-09-10T23:08:25Z'/>")
        };
        let other = delay(" from='shakespeare.lit'");
        let xml = format!(
            "<presence to='coven@chat.example/hag'>{}{}{other}<x xmlns='jabber:x:delay'/></presence>",
            delay(" from='coven@chat.example'"),
            delay(""),
        );
        let Ok(Stanza::Presence(presence)) = Stanza::read(Frame::from_bytes(xml).unwrap()) else {
            panic!("presence")
        };
        let kept = Stanza::Presence(cleaned(presence)).to_xml();
        assert_eq!(kept, format!("<presence>{other}</presence>"));
    }
}
