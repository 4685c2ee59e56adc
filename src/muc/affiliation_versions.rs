//! Versions of the list of affiliations (XEP-0463): a client asks for what has changed since it was last in the room.
//!
//! Only clients that ask for versions get these messages: others do not understand them.
//!
//! DEPARTS: XEP-0463 §5.2.2 – a change is told in a message also if the user is in the room: the presence that shows
//! the change is one for all occupants, and has no version in it.

use std::collections::BTreeMap;

use super::affiliation::Role;
use super::presence_broadcast::item;
use super::{Actor, Affiliation, Effects, Room, Whois};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, Content, Head, Message, MessageKind, Stanza, StanzaError};
use crate::xml::{ElementRef, Node, element};

/// The namespace.
pub(super) const NS: &str = "urn:xmpp:muc:affiliations:0";

/// The request for affiliations of a client that enters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct AskedVersion {
    /// The version that it knows; `None`: it wants all.
    since: Option<String>,
}

impl AskedVersion {
    /// Reads the `<x/>` of a client that enters (XEP-0463 §5.1).
    pub(super) fn read(x: &ElementRef<'_>) -> Option<Self> {
        let mav = x.child(NS, "mav")?;
        Some(Self { since: mav.attr("since").map(std::borrow::Cow::into_owned) })
    }
}

/// From when a client is told affiliations.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Since {
    /// It is told all, as they are now.
    Beginning,
    /// It may not be told: a member of a members-only room learns nothing of times at which it may not have been one
    /// (XEP-0463 §6).
    Secret,
    /// The changes after this version.
    Version(i64),
}

impl Room {
    /// Tells a session that has just entered, or asks for everything again, the affiliations before any presence
    /// (XEP-0463 §5.2.1). Returns what its own presence says of them.
    pub(super) fn tell_affiliations(
        &mut self,
        actor: &Actor,
        asked: Option<AskedVersion>,
        fx: &mut Effects,
    ) -> Option<Node> {
        self.versioned.remove(&actor.jid);
        let AskedVersion { since } = asked?;
        let since = since.map_or(Since::Beginning, |since| self.known_version(actor, &since));
        if since == Since::Secret || !self.reads_affiliations(&actor.jid) {
            fx.tell(&actor.jid, Stanza::Message(self.no_affiliations()));
            return None;
        }
        if self.versioned.len() > 2 * self.occupants.len() + 16 {
            let occupants = &self.occupants;
            self.versioned.retain(|session, _| occupants.of_session(session).is_some());
        }
        let version = self.members.version();
        self.versioned.insert(actor.jid.clone(), version);
        let since = match since {
            Since::Version(version) => Some(version),
            Since::Beginning | Since::Secret => None,
        };
        self.send_affiliations(vec![actor.jid.clone()], since, self.reads_bans(&actor.jid), fx);
        Some(self.mav(None, version))
    }

    /// Sends clients that have asked the changes since the last version that they were sent.
    pub(super) fn tell_affiliation_changes(&mut self, fx: &mut Effects) {
        let version = self.members.version();
        let mut groups: BTreeMap<(i64, bool), Vec<Jid>> = BTreeMap::new();
        for (session, told) in self.versioned.iter().filter(|(_, told)| **told < version) {
            if self.reads_affiliations(session) {
                let group = (*told, self.reads_bans(session));
                groups.entry(group).or_default().push(session.clone());
            }
        }
        for ((since, reads_bans), sessions) in groups {
            for session in &sessions {
                self.versioned.insert(session.clone(), version);
            }
            let since = Some(since).filter(|since| *since >= self.extra.forgotten);
            self.send_affiliations(sessions, since, reads_bans, fx);
        }
    }

    /// Whether a session is told a change to this affiliation with its version.
    pub(super) fn is_told_versions(&self, session: &Jid, to: Affiliation) -> bool {
        self.versioned.contains_key(session)
            && self.reads_affiliations(session)
            && (to != Affiliation::Outcast || self.reads_bans(session))
    }

    /// If the list is full, addresses without an affiliation are removed from it. A client whose version is older than
    /// that gets the whole list.
    pub(super) fn forget_members(&mut self, fx: &mut Effects) {
        let Some((users, newest)) = self.members.forget(self.limits.members) else { return };
        fx.change.members.retain(|member| !users.contains(&member.jid));
        fx.change.forget_members.extend(users);
        self.extra.forgotten = self.extra.forgotten.max(newest);
        fx.change.extra = Some(self.extra.to_stored());
    }

    /// The rules are those of the lists (XEP-0045 §9.5): admins, and others as the configuration says.
    fn reads_affiliations(&self, session: &Jid) -> bool {
        let Some(occupant) = self.occupants.of_session(session) else { return false };
        let is_listed = self.config.member_list.iter().any(|role| role == occupant.role.as_str());
        let sees = self.config.whois == Whois::Anyone || occupant.role == Role::Moderator;
        self.affiliation_of_occupant(occupant).is_admin() || (is_listed && sees)
    }

    fn reads_bans(&self, session: &Jid) -> bool {
        let occupant = self.occupants.of_session(session);
        occupant.is_some_and(|occupant| self.affiliation_of_occupant(occupant).is_admin())
    }

    /// What a version means that the room may have told.
    fn known_version(&self, actor: &Actor, text: &str) -> Since {
        let known = text.split_once('-').filter(|(room, _)| *room == self.version_prefix());
        let version = known.and_then(|(_, version)| version.parse::<i64>().ok());
        let Some(version) = version.filter(|version| *version <= self.members.version()) else {
            return Since::Beginning;
        };
        let own = self.members.get(&actor.user);
        let begins = match own.filter(|_| self.config.members_only) {
            Some(own) if !own.affiliation.is_admin() => own.version,
            _ => 1,
        };
        match version {
            _ if version < begins => Since::Secret,
            _ if version < self.extra.forgotten => Since::Beginning,
            _ => Since::Version(version),
        }
    }

    /// Two rooms of one address, one after the other, have different versions.
    fn version_prefix(&self) -> String {
        format!("{:x}", self.created.as_micros())
    }

    fn mav(&self, since: Option<i64>, until: i64) -> Node {
        let text = |version: i64| format!("{}-{version}", self.version_prefix());
        element("mav").ns(NS).maybe_attr("since", since.map(text)).attr("until", text(until))
    }

    /// Sends the affiliations that have changed after a version; `None`: all.
    fn send_affiliations(
        &self,
        to: Vec<Jid>,
        since: Option<i64>,
        reads_bans: bool,
        fx: &mut Effects,
    ) {
        let items = self.changed_items(since, reads_bans);
        if items.is_empty() && since.is_some() {
            return;
        }
        let (to, version): (std::sync::Arc<[Jid]>, _) = (to.into(), self.members.version());
        let mut since = since;
        let mut rest = items.as_slice();
        loop {
            let (now, later) = rest.split_at(rest.len().min(ITEMS));
            let until = now.last().filter(|_| !later.is_empty()).map_or(version, |last| last.0);
            let items = now.iter().map(|(_, item)| item.clone());
            let mav = self.mav(since, until);
            let x = element("x").ns(ns::MUC_USER).child(mav).children(items);
            let message = self.message_of_room(MessageKind::Normal, Content::from(x));
            fx.tell_message(std::sync::Arc::clone(&to), message);
            (since, rest) = (Some(until), later);
            if rest.is_empty() {
                break;
            }
        }
    }

    /// The items, with the version of each, in the order of versions. Users who may not read bans see a ban as no
    /// affiliation.
    fn changed_items(&self, since: Option<i64>, reads_bans: bool) -> Vec<(i64, Node)> {
        let changed = self.members.since(since.unwrap_or(0)).into_iter();
        let items = changed.filter_map(|member| {
            let affiliation = match member.affiliation {
                Affiliation::Outcast if !reads_bans => Affiliation::None,
                affiliation => affiliation,
            };
            if affiliation == Affiliation::None && since.is_none() {
                return None;
            }
            let item = item(affiliation, None)
                .attr("jid", member.jid.as_str())
                .maybe_attr("nick", member.nick.as_deref());
            Some((member.version, item))
        });
        items.collect()
    }

    /// The answer to users who may not read affiliations (XEP-0463 §5.2.3).
    fn no_affiliations(&self) -> Message {
        let error = StanzaError::from(Condition::Forbidden).by(&self.jid);
        self.message_of_room(MessageKind::Error, Content::from(error.to_node()))
    }

    fn message_of_room(&self, kind: MessageKind, content: Content) -> Message {
        let head = Head { from: Some(self.jid.clone().into_jid()), ..Head::default() };
        Message { head, kind, content }
    }
}

/// Affiliations in one message, at most.
const ITEMS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::muc::tests::Coven;
    use crate::muc::{Effect, RoomLimits};

    /// Somebody enters again, and knows this version. Returns the lists that come, as XML.
    fn lists(coven: &mut Coven, since: &str) -> Vec<String> {
        let enter = format!(
            "<presence to='coven@chat.example/crone'><x xmlns='http://jabber.org/protocol/muc'>\
             <mav xmlns='urn:xmpp:muc:affiliations:0' since='{since}'/></x></presence>"
        );
        let fx = coven.receives("crone1", &enter).unwrap();
        let lists = fx.list.iter().filter_map(|effect| match effect {
            Effect::Tell(stanza, _) => Some(stanza.to_xml()).filter(|xml| xml.contains("<mav")),
            Effect::Publish(_) | Effect::Send(_) => None,
        });
        lists.filter(|xml| xml.starts_with("<message")).collect()
    }

    #[test]
    fn a_member_is_not_told_what_was_before_it_was_one() {
        let mut coven = Coven::new();
        (coven.room.config.members_only, coven.room.config.whois) = (true, Whois::Anyone);
        let set = |coven: &mut Coven, item: &str| {
            let query = format!(
                "<query xmlns='http://jabber.org/protocol/muc#admin'><item {item}/></query>"
            );
            coven.set("crone1", &query).unwrap();
        };
        set(&mut coven, "jid='hecate@witches' affiliation='member'");
        let before = coven.room.members.version();
        set(&mut coven, "jid='hag66@witches' affiliation='member'");
        let since = coven.room.members.version();
        set(&mut coven, "jid='wiccarocks@witches' affiliation='member'");
        let told = |coven: &mut Coven, version: i64| {
            let again = format!(
                "<presence to='coven@chat.example/hag'><x xmlns='http://jabber.org/protocol/muc'>\
                 <mav xmlns='urn:xmpp:muc:affiliations:0' since='0-{version}'/></x></presence>"
            );
            let fx = coven.receives("hag66", &again).unwrap();
            let Some(Effect::Tell(stanza, _)) = fx.list.first() else { panic!("nothing is told") };
            stanza.to_xml()
        };
        let refused = told(&mut coven, before);
        assert!(refused.contains("type='error'") && refused.contains("forbidden"), "{refused}");
        let changes = told(&mut coven, since);
        assert!(changes.contains("wiccarocks@witches"), "{changes}");
        assert!(!changes.contains("hecate@witches"), "{changes}");
    }

    #[test]
    fn where_the_list_is_full_old_changes_are_forgotten_and_no_longer_told() {
        let mut coven = Coven::new();
        coven.room.limits = RoomLimits { members: 4, ..coven.room.limits };
        let set = |coven: &mut Coven, name: &str, affiliation: &str| {
            let query = format!(
                "<query xmlns='http://jabber.org/protocol/muc#admin'>\
                 <item jid='{name}@b.example' affiliation='{affiliation}'/></query>"
            );
            coven.set("crone1", &query)
        };
        // Two are an owner and an admin. The list is full with members only.
        for name in ["a", "b"] {
            set(&mut coven, name, "member").unwrap();
        }
        let refused = set(&mut coven, "c", "member").unwrap_err();
        assert_eq!(refused.condition, Condition::ResourceConstraint);
        let before = coven.room.members.version();
        set(&mut coven, "a", "none").unwrap();
        set(&mut coven, "b", "none").unwrap();
        let then = coven.room.members.version();
        let fx = set(&mut coven, "c", "member").unwrap();
        assert_eq!(fx.change.forget_members.len(), 1);
        assert!(fx.change.extra.is_some());
        let known = |version: i64| format!("0-{version}");
        let old = lists(&mut coven, &known(before));
        assert!(old[0].contains("crone1@witches") && !old[0].contains("since="), "{old:?}");
        let new = lists(&mut coven, &known(then));
        assert!(new[0].contains("c@b.example") && !new[0].contains("crone1"), "{new:?}");
    }
}
