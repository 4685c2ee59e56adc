//! Lists of occupants by role, and of users by affiliation (XEP-0045 §8.5, §9.2, §9.5, §9.8, §10.5, §10.8).

use super::cause::bad;
use super::presence_broadcast::item;
use super::{Actor, Affiliation, Role, Room, Whois};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, StanzaError};
use crate::xml::{ElementRef, Node, element};

impl Room {
    /// The list for which an `<item/>` asks.
    ///
    /// # Errors
    /// `bad-request` if it is not clear which one, `forbidden` for users who may not read it.
    pub(super) fn list(&self, actor: &Actor, query: &ElementRef<'_>) -> Result<Node, StanzaError> {
        let mut items = query.children().filter(|child| child.is(ns::MUC_ADMIN, "item"));
        let (Some(wanted), None) = (items.next(), items.next()) else {
            return Err(bad("one list is asked for"));
        };
        let found = match (wanted.attr("role"), wanted.attr("affiliation")) {
            (Some(role), None) => {
                let role = Role::parse(&role).filter(|role| *role != Role::None);
                self.with_role(actor, role.ok_or_else(|| bad("there is no such list"))?)?
            }
            (None, Some(affiliation)) => {
                let affiliation = Affiliation::parse(&affiliation);
                let affiliation = affiliation.filter(|wanted| *wanted != Affiliation::None);
                let affiliation = affiliation.ok_or_else(|| bad("there is no such list"))?;
                self.with_affiliation(actor, affiliation)?
            }
            _ => return Err(bad("a list is one of a role or of an affiliation")),
        };
        Ok(element("query").ns(ns::MUC_ADMIN).children(found))
    }

    /// Occupants with this role. Moderators read who has a voice (§8.5), and admins who moderates (§9.8).
    fn with_role(&self, actor: &Actor, role: Role) -> Result<Vec<Node>, StanzaError> {
        let by = self.standing(actor);
        let may = by.affiliation.is_admin() || (by.role == Role::Moderator && role < by.role);
        if !may {
            return Err(Condition::Forbidden.text("you may not read this list"));
        }
        let found = self.occupants.iter().filter(|occupant| occupant.role == role);
        let found = found.map(|occupant| {
            let session = occupant.best().map(|seat| &seat.session);
            item(self.affiliation_of_occupant(occupant), Some(role))
                .maybe_attr("jid", session.map(Jid::as_str))
                .attr("nick", &occupant.nick)
        });
        Ok(found.collect())
    }

    /// Users with this affiliation, in one answer, however many: XEP-0045 has no pages. A client that knows the list
    /// asks for what has changed (XEP-0463). Without roles (§17.4), which Converse.js 14 misreads; only admins read why.
    fn with_affiliation(
        &self,
        actor: &Actor,
        affiliation: Affiliation,
    ) -> Result<Vec<Node>, StanzaError> {
        if !self.may_list(actor, affiliation) {
            return Err(Condition::Forbidden.text("you may not read this list"));
        }
        let reads_reasons = self.affiliation_of(actor).is_admin();
        let found = self.members.with(affiliation).into_iter().map(|member| {
            let mut present = self.occupants.of_user(&member.jid);
            let present = present.find(|occupant| occupant.is_shown);
            let nick = present.map(|occupant| occupant.nick.as_str());
            let mut item = item(affiliation, None)
                .attr("jid", member.jid.as_str())
                .maybe_attr("nick", member.nick.as_deref().or(nick));
            if let Some(reason) = member.reason.as_deref().filter(|_| reads_reasons) {
                item = item.child(element("reason").text(reason));
            }
            item
        });
        Ok(found.collect())
    }

    /// Whether somebody may read who has this affiliation.
    fn may_list(&self, actor: &Actor, affiliation: Affiliation) -> bool {
        let by = self.standing(actor);
        // A member who is not in the room counts as if it were (§9.5).
        let role = match by.role {
            Role::None if by.affiliation.is_member() => {
                Role::on_entry(by.affiliation, self.config.moderated)
            }
            role => role,
        };
        let is_open = self.config.whois == Whois::Anyone;
        let is_reader = self.config.member_list.iter().any(|reader| reader == role.as_str());
        match affiliation {
            _ if by.affiliation == Affiliation::Owner => true,
            Affiliation::Outcast => by.affiliation.is_admin(),
            Affiliation::Member => {
                by.affiliation.is_admin() || (is_reader && (is_open || role == Role::Moderator))
            }
            // In a semi-anonymous room, only owners read who else is one (§10.5, §10.8).
            _ => is_open && (by.affiliation.is_admin() || is_reader),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustc_hash::FxHashSet;

    use crate::muc::tests::Coven;
    use crate::ns;
    use crate::xml::Frame;

    #[test]
    fn a_list_has_all_however_many() {
        let mut coven = Coven::new();
        let query = |items: &str| format!("<query xmlns='{}'>{items}</query>", ns::MUC_ADMIN);
        for part in 0..5 {
            let item = |n| format!("<item affiliation='member' jid='w{n}@witches'/>");
            let items: String = (part * 2000..(part + 1) * 2000).map(item).collect();
            coven.set("crone1", &query(&items)).unwrap();
        }
        let told = coven.get("wiccarocks", &query("<item affiliation='member'/>")).unwrap();
        let frame = Frame::from_bytes(told.answer.unwrap().to_bytes()).unwrap();
        let items = frame.root().children().map(|item| item.attr("jid").unwrap().into_owned());
        let found: Vec<_> = items.collect();
        let different: FxHashSet<_> = found.iter().collect();
        assert_eq!((found.len(), different.len()), (10_000, 10_000));
    }
}
