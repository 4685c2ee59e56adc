//! The presence of an occupant: broadcast to the other occupants (XEP-0045 §7.2.2), with the details that only a
//! room adds, and stored.

use super::affiliation::Role;
use super::occupants::{Occupant, Seat};
use super::{Affiliation, Effects, Room, Whois, occupant_id};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Content, Presence, PresenceKind, Stanza};
use crate::storage::RoomOccupant;
use crate::xml::{Frame, Node, element};

/// What the room adds to the presence of an occupant.
#[derive(Clone, Debug, Default)]
pub(super) struct Details<'a> {
    /// Status codes for all (XEP-0045 §16.6).
    pub(super) codes: &'a [u16],
    /// Status codes for the occupant alone, besides 110.
    pub(super) own_codes: &'a [u16],
    /// The nickname of the occupant who caused it.
    pub(super) actor: Option<&'a str>,
    /// The reason that this occupant gave.
    pub(super) reason: Option<&'a str>,
    /// The new nickname.
    pub(super) nick: Option<&'a str>,
    /// The version of the affiliations, for the occupant alone (XEP-0463 §5.2.1).
    pub(super) mav: Option<Node>,
    /// The room is destroyed.
    pub(super) destroy: Option<Node>,
}

/// Who receives the presence.
#[derive(Clone, Copy, Debug)]
struct Viewer {
    /// Whether it sees real addresses.
    sees: bool,
    /// Whether it is the occupant itself.
    is_self: bool,
}

impl Room {
    /// Whether the presence of a newcomer with this role is broadcast.
    pub(super) fn is_to_be_shown(&self, role: Role) -> bool {
        self.config.shows(role)
            && (role == Role::Moderator || self.occupants.shown() < self.limits.shown)
    }

    /// Sends the presence of an occupant to the others, if it is broadcast, and to its own sessions.
    pub(super) fn broadcast_presence(
        &self,
        occupant: &Occupant,
        seat: &Seat,
        kind: PresenceKind,
        details: &Details<'_>,
        fx: &mut Effects,
    ) {
        if occupant.is_shown {
            self.broadcast_to_others(occupant, seat, kind, details, fx);
        }
        let own = occupant.sessions().cloned().collect();
        self.send_self_presence(occupant, seat, kind, details, own, fx);
    }

    /// Sends the presence of an occupant to all others.
    pub(super) fn broadcast_to_others(
        &self,
        occupant: &Occupant,
        seat: &Seat,
        kind: PresenceKind,
        details: &Details<'_>,
        fx: &mut Effects,
    ) {
        let (mut seeing, mut blind) = (Vec::new(), Vec::new());
        for other in self.occupants.iter().filter(|other| other.nick != occupant.nick) {
            let group = if self.sees_real_addresses(other) { &mut seeing } else { &mut blind };
            group.extend(other.sessions().cloned());
        }
        for (sees, to) in [(true, seeing), (false, blind)] {
            if !to.is_empty() {
                let viewer = Viewer { sees, is_self: false };
                fx.tell_presence(to, self.presence_of(occupant, seat, kind, details, viewer));
            }
        }
    }

    /// Sends an occupant its own presence (self-presence), with the status code 110.
    pub(super) fn send_self_presence(
        &self,
        occupant: &Occupant,
        seat: &Seat,
        kind: PresenceKind,
        details: &Details<'_>,
        to: Vec<Jid>,
        fx: &mut Effects,
    ) {
        let viewer = Viewer { sees: self.sees_real_addresses(occupant), is_self: true };
        fx.tell_presence(to, self.presence_of(occupant, seat, kind, details, viewer));
    }

    /// Sends a newcomer the presence of the others (XEP-0045 §7.2.2).
    pub(super) fn send_existing_presence(&self, newcomer: &Occupant, to: &Jid, fx: &mut Effects) {
        let viewer = Viewer { sees: self.sees_real_addresses(newcomer), is_self: false };
        let others = self.occupants.iter().filter(|other| other.nick != newcomer.nick);
        for other in others.filter(|other| other.is_shown) {
            let Some(seat) = other.best() else { continue };
            let kind = PresenceKind::Available;
            let presence = self.presence_of(other, seat, kind, &Details::default(), viewer);
            fx.tell(to, Stanza::Presence(presence));
        }
    }

    /// Whether an occupant sees the real addresses of others.
    pub(super) fn sees_real_addresses(&self, occupant: &Occupant) -> bool {
        self.config.whois == Whois::Anyone || occupant.role == Role::Moderator
    }

    fn presence_of(
        &self,
        occupant: &Occupant,
        seat: &Seat,
        kind: PresenceKind,
        details: &Details<'_>,
        viewer: Viewer,
    ) -> Presence {
        let mut presence = seat.presence.clone();
        presence.kind = kind;
        presence.head.from = Some(occupant.address.clone().into_jid());
        presence.head.to = None;
        if !viewer.is_self {
            presence.head.id = None;
        }
        presence.content.add(&occupant_id::node(&occupant.id));
        let hats = self.extra.hats_of(&occupant.user);
        if let Some(hats) = hats.filter(|_| kind == PresenceKind::Available) {
            presence.content.add(&hats);
        }
        let is_leaving = kind == PresenceKind::Unavailable && details.nick.is_none();
        let role = if is_leaving { Role::None } else { occupant.role };
        // All occupants may know their own addresses. Converse.js finds its user by this address.
        let jid = (viewer.sees || viewer.is_self).then_some(&seat.session);
        let mut item = item(self.affiliation_of_occupant(occupant), Some(role))
            .maybe_attr("jid", jid.map(Jid::as_str))
            .maybe_attr("nick", details.nick);
        if let Some(actor) = details.actor {
            item = item.child(element("actor").attr("nick", actor));
        }
        if let Some(reason) = details.reason {
            item = item.child(element("reason").text(reason));
        }
        let mav = details.mav.clone().filter(|_| viewer.is_self);
        let mut x = element("x").ns(ns::MUC_USER).children(mav).child(item);
        if let Some(destroy) = &details.destroy {
            x = x.child(destroy.clone());
        }
        let own: &[u16] = if viewer.is_self { &[110] } else { &[] };
        let own_codes = if viewer.is_self { details.own_codes } else { &[] };
        for code in details.codes.iter().chain(own_codes).chain(own) {
            x = x.child(status(*code));
        }
        presence.content.add(&x);
        presence
    }

    /// What is stored of a session of an occupant. `None` for a session that is stored nowhere.
    pub(super) fn stored_occupant(occupant: &Occupant, seat: &Seat) -> Option<RoomOccupant> {
        let presence = Stanza::Presence(seat.presence.clone()).to_xml();
        Some(RoomOccupant {
            session: seat.session.to_full()?,
            nick: occupant.nick.to_string(),
            data: [occupant.role.as_str(), if occupant.is_shown { " " } else { HIDDEN }, &presence]
                .concat(),
        })
    }
}

/// What [`Room::stored_occupant`] wrote.
pub(super) struct StoredOccupant {
    pub(super) role: Role,
    /// Others have been shown its presence.
    pub(super) is_shown: bool,
    pub(super) presence: Presence,
}

/// Reads what [`Room::stored_occupant`] wrote.
pub(super) fn read_stored(data: &str) -> Option<StoredOccupant> {
    let hidden = data.split_once(HIDDEN).filter(|(role, _)| Role::parse(role).is_some());
    let is_shown = hidden.is_none();
    let (role, presence) = hidden.or_else(|| data.split_once(' '))?;
    let frame = Frame::from_bytes(presence.as_bytes().to_vec()).ok()?;
    match Stanza::read(frame) {
        Ok(Stanza::Presence(presence)) => {
            Some(StoredOccupant { role: Role::parse(role)?, is_shown, presence })
        }
        _ => None,
    }
}

/// Stands between the role and the presence of an occupant whose presence others are not shown.
const HIDDEN: &str = " hidden ";

/// An `<item/>` with an affiliation, and a role.
pub(super) fn item(affiliation: Affiliation, role: Option<Role>) -> Node {
    element("item")
        .attr("affiliation", affiliation.as_str())
        .maybe_attr("role", role.map(Role::as_str))
}

/// A `<status/>` with a code.
pub(super) fn status(code: u16) -> Node {
    element("status").attr("code", code.to_string())
}

/// Unavailable presence for a session that has no presence in the room.
pub(super) fn no_presence() -> Presence {
    Presence {
        head: crate::stanza::Head::default(),
        kind: PresenceKind::Unavailable,
        content: Content::default(),
    }
}
