//! What administrators' commands change in a room, and read from it. Occupants get the same stanzas as if an owner
//! had made the change.

use smol_str::SmolStr;

use super::cause::Cause;
use super::change_affiliation::AffiliationChange;
use super::destroy::DestroyNotice;
use super::{Affiliation, Effects, Role, Room};
use crate::jid::{BareJid, Jid};
use crate::payload::data_form::{Form, Submitted};
use crate::payload::datetime::Timestamp;
use crate::stanza::StanzaError;

/// Somebody in a room, for a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OccupantSummary {
    /// The nickname.
    pub nick: SmolStr,
    /// The user, by the real address.
    pub user: BareJid,
    /// What the occupant may do.
    pub role: Role,
    /// What the user is, in the room or not.
    pub affiliation: Affiliation,
    /// The sessions of the user that are in the room under this nickname, by their real addresses.
    pub sessions: Vec<Jid>,
}

/// A user with an affiliation, for a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MemberSummary {
    /// The user, or a domain.
    pub user: BareJid,
    /// The registered nickname.
    pub nick: Option<String>,
    /// Why the user has this affiliation.
    pub reason: Option<String>,
}

impl Room {
    /// Gives an affiliation.
    ///
    /// # Errors
    /// `conflict` if no owner would be left, `resource-constraint` if the room has too many affiliations.
    pub fn set_affiliation(
        &mut self,
        at: Timestamp,
        user: &BareJid,
        affiliation: Affiliation,
        reason: Option<&str>,
    ) -> Result<Effects, StanzaError> {
        let mut fx = Effects::default();
        let reason = reason.map(str::to_owned);
        let change = AffiliationChange { user: user.clone(), affiliation, nick: None, reason };
        let by = by_server(at);
        self.check_affiliations(&by, std::slice::from_ref(&change))?;
        self.apply_affiliation(&by, &change, &mut fx);
        self.end_requests_of_gone(&mut fx);
        self.end_if_empty(&mut fx);
        Ok(fx)
    }

    /// The account of a user was removed: the next user with this address may be another person. The affiliation, the
    /// registered nickname, hats, tokens and requests are removed, even those of the last owner; a ban stays. `None`:
    /// there is nothing to remove.
    ///
    /// DEPARTS: XEP-0045 §10 – a room whose last owner's account is removed has no owner, until an administrator of
    /// the service names one. Nobody else has asked to own it.
    pub fn forget_user(&mut self, at: Timestamp, user: &BareJid) -> Option<Effects> {
        if !self.knows(user) {
            return None;
        }
        let mut fx = Effects::default();
        if self.extra.mentions(user) {
            self.extra.forget(user);
            self.hats_changed(std::slice::from_ref(user), &mut fx);
        }
        self.invited.retain(|invited| invited.by != *user && invited.user != *user);
        if self.listed_affiliation(user).is_member() {
            let affiliation = Affiliation::None;
            let change =
                AffiliationChange { user: user.clone(), affiliation, nick: None, reason: None };
            self.apply_affiliation(&by_server(at), &change, &mut fx);
            // Nothing stays stored of a removed account, not even that it had an affiliation (XEP-0463 §5.1).
            fx.change.members.retain(|member| member.jid != *user);
            fx.change.forget_members.push(user.clone());
        }
        self.tell_affiliation_changes(&mut fx);
        self.end_if_empty(&mut fx);
        Some(fx)
    }

    /// Whether the room knows somebody by an affiliation other than a ban, or by a hat, a token or a request.
    #[must_use]
    pub fn knows(&self, user: &BareJid) -> bool {
        self.listed_affiliation(user).is_member() || self.extra.mentions(user)
    }

    /// Words that occur in [`StoredRoom::extra`](crate::storage::StoredRoom::extra) of each room that has hats, tokens or
    /// requests of a user.
    #[must_use]
    pub fn mention_of(user: &BareJid) -> String {
        serde_json::Value::from(user.as_str()).to_string()
    }

    /// Changes the configuration, and unlocks the room. What the form does not name stays.
    ///
    /// # Errors
    /// `not-acceptable` if a value is invalid, `conflict` if no owner would be left. Then all is as before.
    pub fn configure(&mut self, at: Timestamp, form: &Submitted) -> Result<Effects, StanzaError> {
        let mut fx = Effects::default();
        self.configure_by(&by_server(at), form, &mut fx)?;
        self.end_requests_of_gone(&mut fx);
        self.end_if_empty(&mut fx);
        Ok(fx)
    }

    /// Destroys the room. Occupants are sent an alternative room, and the reason.
    pub fn destroy(&mut self, venue: Option<&BareJid>, reason: Option<&str>) -> Effects {
        let mut fx = Effects::default();
        let venue = venue.cloned().map(Jid::from);
        let reason = reason.map(str::to_owned);
        self.end(&DestroyNotice { venue, password: None, reason }, &mut fx);
        self.end_requests_of_gone(&mut fx);
        fx
    }

    /// The form of the configuration, filled in.
    pub fn configuration_form(&self) -> Form {
        self.configuration()
    }

    /// All with this affiliation, in the order of their addresses.
    #[must_use]
    pub fn members_with(&self, affiliation: Affiliation) -> Vec<MemberSummary> {
        let members = self.members.with(affiliation).into_iter();
        let summary = members.map(|member| MemberSummary {
            user: member.jid.clone(),
            nick: member.nick.clone(),
            reason: member.reason.clone(),
        });
        summary.collect()
    }

    /// When the room was made.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// Who made it.
    #[must_use]
    pub fn creator(&self) -> &BareJid {
        &self.creator
    }

    /// The subject, if one was set.
    #[must_use]
    pub fn subject_text(&self) -> Option<String> {
        self.subject.text()
    }

    /// Who is in the room, in the order of the nicknames.
    #[must_use]
    pub fn occupant_list(&self) -> Vec<OccupantSummary> {
        let summary = self.occupants.iter().map(|occupant| OccupantSummary {
            nick: occupant.nick.clone(),
            user: occupant.user.clone(),
            role: occupant.role,
            affiliation: self.affiliation_of_occupant(occupant),
            sessions: occupant.sessions().cloned().collect(),
        });
        summary.collect()
    }
}

/// The server as the cause of a change: it may do what an owner may.
fn by_server(at: Timestamp) -> Cause {
    Cause { at, affiliation: Affiliation::Owner, user: None, nick: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::muc::extra::Hat;
    use crate::muc::tests::{Coven, told, user};

    #[test]
    fn a_command_bans_as_an_owner_does() {
        let mut coven = Coven::new();
        let hag = user("hag66");
        let at = coven.at();
        let fx = coven.room.set_affiliation(at, &hag, Affiliation::Outcast, Some("Spam"));
        let fx = fx.unwrap();
        assert_eq!(
            told(&fx),
            [
                "crone1: hag unavailable outcast/none jid reason=Spam 301",
                "wiccarocks: hag unavailable outcast/none jid reason=Spam 301",
                "hag66: hag unavailable outcast/none jid reason=Spam 301 110",
            ]
        );
        assert_eq!(fx.change.gone.len(), 1);
        let banned = coven.room.members_with(Affiliation::Outcast);
        assert_eq!(banned.len(), 1);
        assert_eq!((&banned[0].user, banned[0].reason.as_deref()), (&hag, Some("Spam")));
        let there: Vec<_> = coven.room.occupant_list().into_iter().map(|o| o.nick).collect();
        assert_eq!(there, ["crone", "wicca"]);
    }

    #[test]
    fn the_last_owner_stays() {
        let mut coven = Coven::new();
        let (at, crone) = (coven.at(), user("crone1"));
        let refused = coven.room.set_affiliation(at, &crone, Affiliation::None, None);
        assert_eq!(refused.unwrap_err().condition.as_str(), "conflict");
    }

    #[test]
    fn of_an_account_that_is_gone_only_a_ban_stays() {
        let mut coven = Coven::new();
        let (at, crone, hag) = (coven.at(), user("crone1"), user("hag66"));
        let fx = coven.room.forget_user(at, &crone).unwrap();
        let told = told(&fx);
        assert!(told.contains(&"hag66: crone available none/participant".to_owned()), "{told:?}");
        assert!(fx.change.members.is_empty() && !fx.is_destroyed);
        assert_eq!(fx.change.forget_members, std::slice::from_ref(&crone));
        assert!(coven.room.members_with(Affiliation::Owner).is_empty());
        assert!(coven.room.forget_user(at, &crone).is_none() && !coven.room.knows(&hag));
        coven.room.set_affiliation(at, &hag, Affiliation::Outcast, None).unwrap();
        assert!(coven.room.forget_user(at, &hag).is_none());
        let mut fx = Effects::default();
        let hat = Hat { uri: "urn:x".to_owned(), title: "Host".to_owned(), hue: None };
        coven.room.put_hat(hat, &mut fx).unwrap();
        coven.room.assign_hat(&hag, "urn:x", &mut fx).unwrap();
        let stored = fx.change.extra.flatten().unwrap();
        assert!(stored.contains(&Room::mention_of(&hag)), "{stored}");
        let fx = coven.room.forget_user(at, &hag).unwrap();
        assert!(!fx.change.extra.flatten().unwrap().contains("hag66"));
        assert!(fx.change.forget_members.is_empty(), "the ban stays");
        assert_eq!(coven.room.members_with(Affiliation::Outcast).len(), 1);
    }

    #[test]
    fn a_temporary_room_ends_with_its_last_occupant() {
        let mut coven = Coven::new();
        let at = coven.at();
        let mut set = |name, affiliation| {
            let fx = coven.room.set_affiliation(at, &user(name), affiliation, None).unwrap();
            fx.is_destroyed
        };
        assert!(!set("hecate", Affiliation::Owner));
        assert!(!set("hag66", Affiliation::Outcast));
        assert!(!set("wiccarocks", Affiliation::Outcast));
        assert!(set("crone1", Affiliation::Outcast));
    }
}
