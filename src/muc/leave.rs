//! An occupant leaves, or is made to leave (XEP-0045 §7.14).

use smol_str::SmolStr;

use super::affiliation::Role;
use super::occupants::{Occupant, Seat, cleaned, is_same};
use super::presence_broadcast::{Details, item, no_presence};
use super::{Actor, Affiliation, Effects, Room};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Content, Presence, PresenceKind, Stanza};
use crate::xml::element;

/// The status of an occupant that was kicked (XEP-0045 §8.2).
pub(super) const KICKED: u16 = 307;

/// A session that has left.
struct Left {
    seat: Seat,
    /// The occupant: with this session, if that was its last one; otherwise without it.
    occupant: Occupant,
    is_last: bool,
}

impl Room {
    /// Whether a session is in the room.
    #[must_use]
    pub fn has_session(&self, session: &Jid) -> bool {
        self.occupants.of_session(session).is_some()
    }

    /// The nickname of the user whose session this is, if it is in the room.
    #[must_use]
    pub fn nick_of(&self, session: &Jid) -> Option<SmolStr> {
        self.occupants.of_session(session).map(|occupant| occupant.nick.clone())
    }

    /// The sessions of all occupants for which `which` holds.
    #[must_use]
    pub fn sessions_that(&self, which: impl Fn(&Jid) -> bool) -> Vec<Jid> {
        let sessions = self.occupants.iter().flat_map(Occupant::sessions);
        sessions.filter(|session| which(session)).cloned().collect()
    }

    /// Makes a session leave with this presence. `codes`: the status codes that all are sent (XEP-0045 §16.6).
    pub(super) fn leave(
        &mut self,
        actor: &Actor,
        presence: Presence,
        codes: &[u16],
        fx: &mut Effects,
    ) {
        // An occupant may leave with any presence, also one that is too large.
        let is_small = presence.content.size() <= self.limits.presence_bytes;
        let presence = if is_small { cleaned(presence) } else { no_presence() };
        self.remove_seat(&actor.jid, presence, codes, fx);
    }

    /// Handles presence that the server sends on behalf of a session that has ended: its connection was lost, and its client
    /// has not come back (status 333, XEP-0045 §11.1).
    pub(super) fn ended(&mut self, actor: &Actor, presence: Presence, fx: &mut Effects) {
        self.leave(actor, presence, &[333], fx);
    }

    /// Makes a session leave that can no longer be reached: for a technical reason (status 333, XEP-0045 §11.1).
    pub(super) fn lost(&mut self, session: &Jid, fx: &mut Effects) {
        self.remove_seat(session, no_presence(), &[333], fx);
    }

    /// Removes one session. If the occupant has others, it stays: the others are shown its presence there. A room
    /// that its owner has not configured ends with the last one (§10.1.3).
    fn remove_seat(&mut self, session: &Jid, presence: Presence, codes: &[u16], fx: &mut Effects) {
        if let Some(left) = self.take_seat(session) {
            self.broadcast_left(&left, presence, codes, fx);
        }
    }

    fn take_seat(&mut self, session: &Jid) -> Option<Left> {
        let seat = self.occupants.of_session(session)?.seat(session)?.clone();
        let (occupant, is_last) = self.occupants.remove_session(session)?;
        Some(Left { seat, occupant, is_last })
    }

    /// Broadcasts that a session has left, with this presence.
    fn broadcast_left(&self, left: &Left, presence: Presence, codes: &[u16], fx: &mut Effects) {
        let Left { seat, occupant, is_last } = left;
        fx.change.gone.extend(seat.session.to_full());
        fx.is_destroyed |= self.config.locked && self.occupants.is_empty();
        let details = &Details { codes, ..Details::default() };
        let last = Seat { session: seat.session.clone(), presence, priority: 0 };
        let unavailable = PresenceKind::Unavailable;
        if *is_last {
            self.broadcast_presence(occupant, &last, unavailable, details, fx);
            if fx.is_destroyed {
                self.tell_destroyed(&last.session, fx);
            }
            return;
        }
        self.send_self_presence(
            occupant,
            &last,
            unavailable,
            details,
            vec![last.session.clone()],
            fx,
        );
        // If the presence of the session that stays is the same, the others see no difference.
        let Some(occupant) = self.occupants.get(&occupant.nick) else { return };
        let is_other = |best: &&Seat| !is_same(&seat.presence, &best.presence);
        if let Some(best) = occupant.best().filter(is_other) {
            self.broadcast_presence(
                occupant,
                best,
                PresenceKind::Available,
                &Details::default(),
                fx,
            );
        }
    }

    /// Makes these sessions leave, because they end with the server (status 332, XEP-0045 §11.2). All are removed first, so
    /// that none of them is sent the presence of another.
    pub fn close(&mut self, sessions: &[Jid]) -> Effects {
        let mut fx = Effects::default();
        let left: Vec<_> = sessions.iter().filter_map(|session| self.take_seat(session)).collect();
        for left in &left {
            self.broadcast_left(left, no_presence(), &[332], &mut fx);
        }
        self.end_requests_of_gone(&mut fx);
        self.end_if_empty(&mut fx);
        fx
    }

    /// Tells the owner of a room that was not configured that it ends, after the answer to its leaving: "from the room"
    /// (XEP-0045 §10.1.3).
    ///
    /// COMPAT: Smack 4.5 (2025) waits for itself if the answer to its leaving contains `<destroy/>`.
    fn tell_destroyed(&self, owner: &Jid, fx: &mut Effects) {
        let mut presence = no_presence();
        presence.head.from = Some(self.jid.clone().into_jid());
        let item = item(Affiliation::None, Some(Role::None));
        let x = element("x").ns(ns::MUC_USER).child(item).child(element("destroy"));
        presence.content.add(&x);
        fx.tell(owner, Stanza::Presence(presence));
    }

    /// Removes an occupant with all its sessions: it was kicked or banned, or lost its membership.
    pub(super) fn remove_occupant(&mut self, nick: &str, details: &Details<'_>, fx: &mut Effects) {
        let Some(occupant) = self.occupants.remove(nick) else { return };
        self.broadcast_removal(&occupant, details, fx);
    }

    /// Broadcasts the leaving of an occupant that was removed already.
    pub(super) fn broadcast_removal(
        &self,
        occupant: &Occupant,
        details: &Details<'_>,
        fx: &mut Effects,
    ) {
        let gone = || occupant.sessions().filter_map(Jid::to_full);
        fx.change.gone.extend(gone());
        // A kicked occupant may come back.
        if details.codes != [KICKED] {
            fx.shut_out.extend(gone());
        }
        let Some(best) = occupant.best() else { return };
        let seat = Seat::new(best.session.clone(), no_presence());
        self.broadcast_presence(occupant, &seat, PresenceKind::Unavailable, details, fx);
    }
}

/// Whether the content of an error says that the session to which a stanza was sent has ended (XEP-0045 §18.1.2).
#[must_use]
pub fn says_gone(content: &Content) -> bool {
    has_one_of(content, LOST)
}

/// Whether the content of an error says what the error is.
#[must_use]
pub(super) fn has_error(content: &Content) -> bool {
    readable(content).has_received_child(ns::CLIENT, "error")
}

/// Whether the content of an error may mean that the session has ended, and may mean something else.
#[must_use]
pub fn is_doubtful(content: &Content) -> bool {
    has_one_of(content, DOUBTFUL)
}

fn has_one_of(content: &Content, conditions: &[&str]) -> bool {
    let content = readable(content);
    let Some(error) = content.received_child(ns::CLIENT, "error") else { return false };
    let is_one = |name: &str| conditions.contains(&name);
    error.children().any(|child| child.ns() == ns::STANZA_ERRORS && is_one(child.name()))
}

/// The content of an error, so that it can be read: an error that this server has made is written first.
pub(super) fn readable(content: &Content) -> Content {
    if content.received_children().next().is_some() {
        return content.clone();
    }
    let written = Stanza::Presence(Presence { content: content.clone(), ..no_presence() });
    written.reread().content().clone()
}

/// Errors that say that a session has ended (XEP-0045 §18.1.2).
const LOST: &[&str] = &[
    "gone",
    "item-not-found",
    "recipient-unavailable",
    "redirect",
    "remote-server-not-found",
    "remote-server-timeout",
];
/// Servers answer `service-unavailable` for a session that has ended (RFC 6121 §8.5.3.2.1), but also in the name of
/// users who have blocked the sender (XEP-0191 §3.3). Clients answer so to what they do not know.
const DOUBTFUL: &[&str] = &["jid-malformed", "service-unavailable"];

#[cfg(test)]
mod tests {
    use crate::muc::tests::{Coven, told};
    use crate::muc::{Actor, Input, Moment};
    use crate::stanza::{Condition, Presence, PresenceKind, Stanza, StanzaError};

    fn error(condition: &str) -> String {
        format!(
            "<presence type='error' to='coven@chat.example/hag'><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
        )
    }

    #[test]
    fn presence_that_comes_back_from_where_nobody_is_removes_the_occupant() {
        let mut coven = Coven::new();
        assert!(told(&coven.receives("hag66", &error("not-allowed")).unwrap()).is_empty());
        let told = told(&coven.receives("hag66", &error("remote-server-not-found")).unwrap());
        assert_eq!(told[0], "crone1: hag unavailable none/none jid 333");
        assert_eq!(coven.room.occupants(), 2);
    }

    #[test]
    fn errors_of_this_server_are_read_too() {
        let content = |condition: Condition| {
            let jid = crate::jid::Jid::parse("hag66@witches/pda").unwrap();
            let sent = Presence::bare(PresenceKind::Available, jid.clone(), jid);
            let answer = StanzaError::from(condition).answer(&Stanza::Presence(sent));
            answer.unwrap().content().clone()
        };
        assert!(super::says_gone(&content(Condition::RemoteServerNotFound)));
        assert!(!super::says_gone(&content(Condition::NotAllowed)));
        assert!(!super::says_gone(&content(Condition::ServiceUnavailable)));
        assert!(super::is_doubtful(&content(Condition::ServiceUnavailable)));
    }

    /// The server says that the session of somebody has ended.
    fn ended(coven: &mut Coven, name: &str) -> crate::muc::Effects {
        let jid = crate::jid::Jid::parse(&format!("{name}@witches/pda")).unwrap();
        let to = crate::jid::Jid::parse("coven@chat.example/x").unwrap();
        let presence = Presence::bare(PresenceKind::Unavailable, jid.clone(), to);
        let now = Moment { at: coven.at(), token: "token".into() };
        coven.room.apply(&now, &Actor::new(jid, false), Input::Ended(presence)).unwrap()
    }

    #[test]
    fn a_session_that_the_server_has_ended_leaves_for_a_technical_reason() {
        let mut coven = Coven::new();
        let lines = told(&ended(&mut coven, "hag66"));
        assert_eq!(lines[0], "crone1: hag unavailable none/none jid 333");
        let left = "<presence type='unavailable' to='coven@chat.example/wicca'/>";
        let lines = told(&coven.receives("wiccarocks", left).unwrap());
        assert_eq!(lines[0], "crone1: wicca unavailable admin/none jid");
        assert!(ended(&mut coven, "hag66").list.is_empty());
    }

    #[test]
    fn who_leaves_with_the_server_is_told_so_and_hears_nothing_of_others_who_do() {
        let mut coven = Coven::new();
        let jid = |name: &str| crate::jid::Jid::parse(&format!("{name}@witches/pda")).unwrap();
        let fx = coven.room.close(&[jid("hag66"), jid("wiccarocks"), jid("nobody")]);
        assert_eq!(
            told(&fx),
            [
                "crone1: hag unavailable none/none jid 332",
                "hag66: hag unavailable none/none jid 332 110",
                "crone1: wicca unavailable admin/none jid 332",
                "wiccarocks: wicca unavailable admin/none jid 332 110",
            ]
        );
        assert!(!fx.is_destroyed && fx.change.gone.len() == 2);
        assert!(coven.room.close(&[jid("crone1")]).is_destroyed, "it is temporary");
    }

    #[test]
    fn a_room_in_the_making_ends_when_its_creator_is_lost() {
        let mut coven = Coven::locked();
        assert!(ended(&mut coven, "crone1").is_destroyed);
        let mut coven = Coven::locked();
        let gone = error("gone").replace("/hag", "/crone");
        assert!(coven.receives("crone1", &gone).unwrap().is_destroyed);
    }

    #[test]
    fn who_leaves_with_too_many_words_leaves_with_none() {
        let mut coven = Coven::new();
        let long = "x".repeat(20 * 1024);
        let kind = |kind: &str| {
            format!(
                "<presence to='coven@chat.example/hag'{kind}><status>{long}</status></presence>"
            )
        };
        let refused = coven.receives("hag66", &kind("")).unwrap_err();
        assert_eq!(refused.condition, Condition::PolicyViolation);
        let fx = coven.receives("hag66", &kind(" type='unavailable'")).unwrap();
        assert_eq!(told(&fx).len(), 3);
        assert!(!format!("{:?}", fx.list).contains("xxxx"));
        assert!(coven.enter("hag66", "hag").is_ok());
    }
}
