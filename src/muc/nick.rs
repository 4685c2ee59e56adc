//! Nicknames: which are allowed, who has which, and how an occupant takes another one (XEP-0045 §7.6).

use smol_str::SmolStr;

use super::affiliation_versions::AskedVersion;
use super::history::Wanted;
use super::nick_skeleton::skeleton_of;
use super::occupants::{Seat, cleaned};
use super::presence_broadcast::{Details, no_presence};
use super::{Actor, Affiliation, Effects, Moment, Room, RoomLimits};
use crate::jid::{BareJid, FullJid};
use crate::ns;
use crate::stanza::{Condition, ErrorKind, Presence, PresenceKind, StanzaError};

/// The address of an occupant, if its nickname is allowed. It is prepared already.
///
/// # Errors
/// `not-acceptable` for a nickname that is invisible or too long (XEP-0045 §17.1).
pub(super) fn checked(address: &FullJid, limits: &RoomLimits) -> Result<FullJid, StanzaError> {
    let nick = address.resource_part();
    let is_visible = nick.chars().any(|c| !c.is_whitespace() && !is_invisible(c));
    if !is_visible {
        return Err(Condition::NotAcceptable.text("the nickname is invisible"));
    }
    if nick.len() > limits.nick_bytes {
        return Err(Condition::NotAcceptable.text("the nickname is too long"));
    }
    Ok(address.clone())
}

/// Characters that show nothing: of format, and fillers.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

impl Room {
    /// The address of the occupant that has a nickname, if it can be one: prepared, visible and not too long.
    ///
    /// # Errors
    /// `not-acceptable` (XEP-0045 §17.1).
    pub(super) fn address_with(&self, nick: &str) -> Result<FullJid, StanzaError> {
        let address = self.jid.with_resource(nick);
        let address = address.map_err(|_| Condition::NotAcceptable.text("this is no nickname"))?;
        checked(&address, &self.limits)
    }

    /// The address that a user gets in the room who asks for this one. It is another one if users must use the nicknames
    /// that they have registered (XEP-0045 §7.10).
    ///
    /// # Errors
    /// `conflict` if another user has the nickname, has registered it, or has one with the same skeleton.
    pub(super) fn nick_for(&self, actor: &Actor, address: FullJid) -> Result<FullJid, StanzaError> {
        let registered = match self.config.registered_nicknames {
            true => self.members.nick_of(&actor.user),
            false => None,
        };
        let address =
            registered.and_then(|nick| self.jid.with_resource(nick).ok()).unwrap_or(address);
        self.check_nick(&actor.user, address.resource_part())?;
        Ok(address)
    }

    /// Whether a user may have a nickname.
    ///
    /// # Errors
    /// `conflict` if another user has it, has registered it, or has one with the same skeleton.
    pub(super) fn check_nick(&self, user: &BareJid, nick: &str) -> Result<(), StanzaError> {
        let is_other = |other: &BareJid| other != user;
        let is_taken = match self.occupants.get(nick) {
            Some(occupant) => is_other(&occupant.user),
            None => {
                let skeleton = skeleton_of(nick);
                self.occupants.with_skeleton(&skeleton).any(|occupant| is_other(&occupant.user))
                    || self.members.with_skeleton(&skeleton).any(is_other)
            }
        };
        if is_taken || self.members.holder_of(nick).is_some_and(is_other) {
            return Err(conflict());
        }
        Ok(())
    }

    /// Gives an occupant another nickname: in all its sessions, if it has several. If it asks to enter, it has lost its
    /// state, and also gets everything that a newcomer gets (XEP-0045 §17.3).
    pub(super) fn change_nick(
        &mut self,
        now: &Moment,
        actor: &Actor,
        asked: &FullJid,
        presence: Presence,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let address = self.nick_for(actor, asked.clone())?;
        let Some(old) = self.occupants.of_session(&actor.jid).cloned() else { return Ok(()) };
        let own_codes: &[u16] = if address == *asked { &[] } else { &[210] };
        if address == old.address {
            self.update(now, actor, presence, own_codes, fx);
            return Ok(());
        }
        if self.affiliation_of(actor) == Affiliation::Outcast {
            return Err(Condition::Forbidden.into());
        }
        if self.occupants.get(address.resource_part()).is_some() {
            // The user's other occupant has it: two of them cannot become one.
            return Err(conflict());
        }
        let new_nick = SmolStr::new(address.resource_part());
        let Some(seat) = old.seat(&actor.jid) else { return Ok(()) };
        let Some(mut occupant) = self.occupants.remove(&old.nick) else { return Ok(()) };
        // Now, since none of the others is the occupant itself.
        let gone = Seat { presence: no_presence(), ..seat.clone() };
        let details = Details { codes: &[303], nick: Some(&new_nick), ..Details::default() };
        self.broadcast_presence(&old, &gone, PresenceKind::Unavailable, &details, fx);
        let priority = presence.priority();
        let x = presence.content.received_child(ns::MUC, "x");
        let wanted = x.map(|x| Wanted::read(&x, now.at));
        let version = x.and_then(|x| AskedVersion::read(&x));
        let presence = cleaned(presence);
        for seat in &mut occupant.seats {
            if seat.session == actor.jid {
                (seat.presence, seat.priority) = (presence.clone(), priority);
            }
        }
        (occupant.nick, occupant.address) = (new_nick.clone(), address);
        self.occupants.add(occupant);
        let mav = wanted.and_then(|_| self.tell_affiliations(actor, version, fx));
        let Some(occupant) = self.occupants.get(&new_nick) else { return Ok(()) };
        for seat in &occupant.seats {
            fx.change.occupants.extend(Self::stored_occupant(occupant, seat));
        }
        if let Some(wanted) = wanted {
            let mut codes = self.codes_on_entry();
            codes.extend(own_codes);
            let details = Details { own_codes: &codes, mav, ..Details::default() };
            self.welcome(actor, &new_nick, true, &details, wanted, fx);
            return Ok(());
        }
        let Some(seat) = occupant.seat(&actor.jid) else { return Ok(()) };
        let details = Details { own_codes, ..Details::default() };
        self.broadcast_presence(occupant, seat, PresenceKind::Available, &details, fx);
        Ok(())
    }
}

fn conflict() -> StanzaError {
    Condition::Conflict.text("another user has this nickname").kind(ErrorKind::Cancel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::muc::tests::Coven;

    #[test]
    fn nicknames_must_be_visible_and_short() {
        let limits = RoomLimits::default();
        let told = |nick: &str| {
            let address = FullJid::parse(&format!("coven@chat.example/{nick}")).unwrap();
            checked(&address, &limits).is_ok()
        };
        assert!(told("thirdwitch") && told("third witch") && told("\u{2615}"));
        assert!(!told(" ") && !told("\u{2800}") && !told(&"a".repeat(257)));
    }

    #[test]
    fn look_alikes_are_refused_as_long_as_the_other_is_there() {
        let mut coven = Coven::new();
        let alike = "h\u{430}g";
        let refused = coven.enter("hecate", alike).unwrap_err();
        assert_eq!(refused.condition, Condition::Conflict);
        let changes = |nick: &str| {
            format!("<presence to='coven@chat.example/{nick}'><show>away</show></presence>")
        };
        coven.receives("hag66", &changes("hex")).unwrap();
        coven.enter("hecate", alike).unwrap();
        assert_eq!(
            coven.receives("hag66", &changes("hag")).unwrap_err().condition,
            Condition::Conflict
        );
        let leaves = format!("<presence type='unavailable' to='coven@chat.example/{alike}'/>");
        coven.receives("hecate", &leaves).unwrap();
        coven.receives("hag66", &changes("hag")).unwrap();
    }

    #[test]
    fn look_alikes_of_registered_nicknames_are_refused() {
        let mut coven = Coven::new();
        let set = |item: &str| {
            format!("<query xmlns='http://jabber.org/protocol/muc#admin'><item {item}/></query>")
        };
        let member = "jid='hag66@witches' affiliation='member' nick='elder'";
        coven.set("crone1", &set(member)).unwrap();
        assert!(coven.enter("hecate", "\u{435}lder").is_err());
        coven.set("crone1", &set("jid='hag66@witches' affiliation='none'")).unwrap();
        coven.enter("hecate", "\u{435}lder").unwrap();
    }
}
