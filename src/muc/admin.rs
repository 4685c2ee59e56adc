//! Requests of moderators and admins: lists, kicks, bans, roles, affiliations (XEP-0045 §8, §9).
//!
//! A request changes all that it names, or nothing (§9.2): all items are checked before the first one counts.

use rustc_hash::FxHashSet;
use smol_str::SmolStr;

use super::cause::{Cause, bad};
use super::change_affiliation::AffiliationChange;
use super::change_role::RoleChange;
use super::{Actor, Affiliation, Effects, Moment, Role, Room};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, IqKind, StanzaError};
use crate::xml::ElementRef;

impl Room {
    pub(super) fn admin(
        &mut self,
        now: &Moment,
        actor: &Actor,
        kind: IqKind,
        query: &ElementRef<'_>,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        match kind {
            IqKind::Get => fx.answer = Some(self.list(actor, query)?),
            IqKind::Set => self.change_all(&self.cause(now.at, actor), actor, query, fx)?,
            IqKind::Error | IqKind::Result => return Err(Condition::BadRequest.into()),
        }
        Ok(())
    }

    fn change_all(
        &mut self,
        by: &Cause,
        actor: &Actor,
        query: &ElementRef<'_>,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let standing = self.standing(actor);
        if standing.role != Role::Moderator && !standing.affiliation.is_admin() {
            return Err(Condition::Forbidden.text("only moderators and admins change others"));
        }
        let (roles, affiliations) = self.read_items(query)?;
        for change in &roles {
            self.check_role(actor, change)?;
        }
        self.check_affiliations(by, &affiliations)?;
        // The requester gets the result before the other occupants get the presence (§8.2 to §10.8). An occupant that
        // kicks itself gets its own presence first.
        let own = self.occupants.of_session(&actor.jid).map(|occupant| &occupant.nick);
        let kicks_itself = |change: &RoleChange| {
            change.role == Role::None && own.is_some_and(|own| *own == change.nick)
        };
        fx.is_answered_first = !roles.iter().any(kicks_itself);
        for change in &roles {
            self.apply_role(by, change, fx);
        }
        self.apply_affiliations(by, &affiliations, fx);
        Ok(())
    }

    /// Reads what is to be changed. Each nickname and each user may occur once.
    fn read_items(
        &self,
        query: &ElementRef<'_>,
    ) -> Result<(Vec<RoleChange>, Vec<AffiliationChange>), StanzaError> {
        let (mut roles, mut affiliations) = (Vec::new(), Vec::new());
        for item in query.children().filter(|child| child.is(ns::MUC_ADMIN, "item")) {
            match (item.attr("role"), item.attr("affiliation")) {
                (Some(role), None) => roles.push(self.read_role(&item, &role)?),
                (None, Some(affiliation)) => {
                    affiliations.push(self.read_affiliation(&item, &affiliation)?);
                }
                _ => return Err(bad("an item has either a role or an affiliation")),
            }
        }
        let nicks: FxHashSet<_> = roles.iter().map(|change| &change.nick).collect();
        let users: FxHashSet<_> = affiliations.iter().map(|change| &change.user).collect();
        if nicks.len() < roles.len() || users.len() < affiliations.len() {
            return Err(bad("two items are for the same user"));
        }
        if roles.is_empty() && affiliations.is_empty() {
            return Err(bad("there is no item"));
        }
        Ok((roles, affiliations))
    }

    fn read_role(&self, item: &ElementRef<'_>, role: &str) -> Result<RoleChange, StanzaError> {
        let role = Role::parse(role).ok_or_else(|| bad("there is no such role"))?;
        let nick = item.attr("nick").filter(|nick| !nick.is_empty());
        let nick = nick.ok_or_else(|| bad("a role is given to a nickname"))?;
        // Nobody can have an invalid nickname.
        let address = self.jid.with_resource(&nick);
        let address = address.map_err(|_| super::change_role::no_such_occupant())?;
        let nick = SmolStr::new(address.resource_part());
        Ok(RoleChange { nick, role, reason: reason(item) })
    }

    /// Reads an affiliation for a user, or for all users of a domain. A full address stands for its user
    /// (XEP-0045 §10.3).
    fn read_affiliation(
        &self,
        item: &ElementRef<'_>,
        affiliation: &str,
    ) -> Result<AffiliationChange, StanzaError> {
        let affiliation =
            Affiliation::parse(affiliation).ok_or_else(|| bad("there is no such affiliation"))?;
        let jid = item.attr("jid").filter(|jid| !jid.is_empty());
        let jid = jid.ok_or_else(|| bad("an affiliation is given to an address"))?;
        let user = Jid::parse(jid.trim()).map_err(|_| Condition::JidMalformed)?.to_bare();
        // Only members have registered nicknames. With an empty one, they give it up (§9.5).
        let nick = item.attr("nick").filter(|_| affiliation.is_member());
        let nick = match nick.as_deref() {
            None => None,
            Some("") => Some(String::new()),
            Some(text) => Some(self.address_with(text)?.resource_part().to_owned()),
        };
        Ok(AffiliationChange { user, affiliation, nick, reason: reason(item) })
    }
}

/// The reason that is given with an item.
fn reason(item: &ElementRef<'_>) -> Option<String> {
    let reason =
        item.child(ns::MUC_ADMIN, "reason")?.text().trim().chars().take(REASON).collect::<String>();
    (!reason.is_empty()).then_some(reason)
}

/// Characters of a reason. Reasons are stored.
const REASON: usize = 1000;

#[cfg(test)]
mod tests {
    use crate::muc::tests::{Coven, told};

    /// What the room tells `by` about this request: an error, or what all are told.
    fn asked(coven: &mut Coven, by: &str, items: &str) -> Vec<String> {
        let query = format!("<query xmlns='http://jabber.org/protocol/muc#admin'>{items}</query>");
        match coven.set(by, &query) {
            Ok(fx) => told(&fx),
            Err(error) => vec![error.condition.as_str().to_owned()],
        }
    }

    #[test]
    fn malformed_items_change_nothing() {
        for (items, error) in [
            ("", "bad-request"),
            ("<item/>", "bad-request"),
            ("<item nick='hag'/>", "bad-request"),
            ("<item nick='hag' role='king'/>", "bad-request"),
            ("<item role='none'/>", "bad-request"),
            ("<item nick='' role='none'/>", "bad-request"),
            ("<item nick='hag' role='none' affiliation='none'/>", "bad-request"),
            ("<item nick='hag' affiliation='outcast'/>", "bad-request"),
            ("<item jid='hag66@witches' affiliation='king'/>", "bad-request"),
            ("<item jid='@' affiliation='outcast'/>", "jid-malformed"),
            ("<item nick='hag' role='none'/><item nick='hag' role='visitor'/>", "bad-request"),
            (
                "<item jid='a@b' affiliation='member'/><item jid='a@b/c' affiliation='none'/>",
                "bad-request",
            ),
            ("<item nick='nobody' role='none'/>", "item-not-found"),
            ("<item nick='hag' role='none'/><item nick='nobody' role='none'/>", "item-not-found"),
        ] {
            let mut coven = Coven::new();
            assert_eq!(asked(&mut coven, "crone1", items), [error], "{items}");
            assert_eq!(coven.room.occupants(), 3, "{items}");
        }
    }

    #[test]
    fn a_kick_is_told_to_all() {
        let mut coven = Coven::new();
        let items = "<item nick='hag' role='none'><reason>Avaunt!</reason></item>";
        assert_eq!(
            asked(&mut coven, "crone1", items),
            [
                "crone1: hag unavailable none/none jid by=crone reason=Avaunt! 307",
                "wiccarocks: hag unavailable none/none jid by=crone reason=Avaunt! 307",
                "hag66: hag unavailable none/none jid by=crone reason=Avaunt! 307 110",
            ]
        );
        assert_eq!(asked(&mut coven, "hag66", "<item nick='crone' role='none'/>"), ["forbidden"]);
    }

    #[test]
    fn whoever_is_made_an_admin_becomes_a_moderator_and_sees_addresses() {
        let mut coven = Coven::new();
        let items = "<item jid='hag66@witches' affiliation='admin'/>";
        assert_eq!(
            asked(&mut coven, "crone1", items),
            [
                "crone1: hag available admin/moderator jid by=crone",
                "wiccarocks: hag available admin/moderator jid by=crone",
                "hag66: hag available admin/moderator jid by=crone 110",
                "hag66: crone available owner/moderator jid",
                "hag66: wicca available admin/moderator jid",
            ]
        );
        let items = "<item jid='hag66@witches' affiliation='none'/>";
        assert_eq!(
            asked(&mut coven, "crone1", items)[2],
            "hag66: hag available none/participant jid by=crone 110"
        );
    }

    #[test]
    fn nobody_bans_oneself_and_an_owner_stays() {
        let mut coven = Coven::new();
        for (by, items, error) in [
            ("crone1", "<item jid='crone1@witches' affiliation='outcast'/>", "conflict"),
            ("crone1", "<item jid='crone1@witches/x' affiliation='none'/>", "conflict"),
            ("wiccarocks", "<item jid='wiccarocks@witches' affiliation='outcast'/>", "conflict"),
            ("wiccarocks", "<item jid='crone1@witches' affiliation='outcast'/>", "not-allowed"),
            ("wiccarocks", "<item jid='a@b' affiliation='admin'/>", "forbidden"),
            ("wiccarocks", "<item jid='crone1@witches' affiliation='admin'/>", "forbidden"),
            ("hag66", "<item jid='a@b' affiliation='outcast'/>", "forbidden"),
        ] {
            assert_eq!(asked(&mut coven, by, items), [error], "{items}");
        }
        let items = "<item jid='a@b' affiliation='owner'/>\
                     <item jid='crone1@witches' affiliation='member'/>";
        let told = asked(&mut coven, "crone1", items);
        assert!(told.contains(&"crone1: owner/none a@b".to_owned()), "{told:?}");
        let changed = "crone1: crone available member/participant jid by=crone 110";
        assert!(told.contains(&changed.to_owned()), "{told:?}");
    }

    #[test]
    fn a_banned_domain_goes_with_all_its_users() {
        let mut coven = Coven::new();
        let items = "<item jid='witches' affiliation='outcast'/>";
        let told = asked(&mut coven, "crone1", items);
        assert_eq!(coven.room.occupants(), 2, "those with an affiliation stay: {told:?}");
        assert!(
            told.contains(&"hag66: hag unavailable outcast/none jid by=crone 301 110".to_owned())
        );
    }

    #[test]
    fn lists_are_for_those_who_may_read_them() {
        let mut coven = Coven::new();
        let mut listed = |by: &str, item: &str| {
            let query = format!(
                "<query xmlns='http://jabber.org/protocol/muc#admin'><item {item}/></query>"
            );
            match coven.get(by, &query) {
                Ok(fx) => fx.answer.map(|answer| answer.to_xml()).unwrap_or_default(),
                Err(error) => error.condition.as_str().to_owned(),
            }
        };
        for (by, item, error) in [
            ("hag66", "role='participant'", "forbidden"),
            ("hag66", "role='moderator'", "forbidden"),
            ("hag66", "affiliation='member'", "forbidden"),
            ("wiccarocks", "affiliation='owner'", "forbidden"),
            ("wiccarocks", "affiliation='none'", "bad-request"),
            ("wiccarocks", "role='none'", "bad-request"),
            ("wiccarocks", "", "bad-request"),
        ] {
            assert_eq!(listed(by, item), error, "{by} {item}");
        }
        let voices = listed("wiccarocks", "role='participant'");
        assert!(voices.contains("nick='hag'") && voices.contains("hag66@witches/pda"), "{voices}");
        let admins = listed("crone1", "affiliation='admin'");
        assert!(admins.contains("jid='wiccarocks@witches'"), "{admins}");
    }
}
