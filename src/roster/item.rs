//! The `<item/>` of a roster (RFC 6121 §2.1.2), as clients send it and as they get it.

use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::{Condition, StanzaError};
use crate::storage::{RosterItem, Subscription};
use crate::xml::{ElementRef, Node, element};

/// What a client asks for with a roster set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RosterSet {
    /// The contact is to be in the roster, under this name and in these groups (RFC 6121 §2.3, §2.4).
    Keep {
        /// The contact, a bare address.
        jid: Jid,
        /// Empty if there is none.
        name: String,
        /// No group twice.
        groups: Vec<String>,
    },
    /// The contact with this bare address is to be removed (RFC 6121 §2.5).
    Remove(Jid),
}

impl RosterSet {
    /// Reads the `<query/>` of a roster set of `user`.
    ///
    /// Subscriptions are managed by the server: except for `remove`, what a client says of them is ignored
    /// (RFC 6121 §2.1.2.5). Unknown elements and attributes are ignored, too (RFC 6120 §8.4).
    ///
    /// # Errors
    /// Those of RFC 6121 §2.3.3. `bad-request`: not exactly one item, no address, a group twice.
    /// `jid-malformed`: an invalid address. `not-allowed`: the user's own. `not-acceptable`: a
    /// name or a group of more than 1023 bytes, a group without a name, more than 100 groups.
    pub fn read(user: &BareJid, query: &ElementRef<'_>) -> Result<Self, StanzaError> {
        let mut items = query.children().filter(|child| child.is(ns::ROSTER, "item"));
        let (Some(item), None) = (items.next(), items.next()) else {
            return Err(Condition::BadRequest.text("a roster set must contain exactly one item"));
        };
        let jid = item.attr("jid").ok_or(Condition::BadRequest)?;
        let jid: Jid = Jid::parse(&jid).map_err(|_| Condition::JidMalformed)?;
        let jid: Jid = jid.to_bare().into();
        if item.attr("subscription").is_some_and(|s| s == "remove") {
            return Ok(Self::Remove(jid));
        }
        if jid == *user {
            return Err(Condition::NotAllowed.text("you cannot add yourself to your roster"));
        }
        let name = item.attr("name").unwrap_or_default().into_owned();
        if name.len() > MAX_NAME {
            return Err(Condition::NotAcceptable.text("the name is too long"));
        }
        Ok(Self::Keep { jid, name, groups: groups(&item)? })
    }
}

fn groups(item: &ElementRef<'_>) -> Result<Vec<String>, StanzaError> {
    let mut groups: Vec<String> = Vec::new();
    for group in item.children().filter(|child| child.is(ns::ROSTER, "group")) {
        let group = group.text().into_owned();
        if group.is_empty() || group.len() > MAX_NAME {
            return Err(Condition::NotAcceptable.text("a group name is empty or too long"));
        }
        if groups.contains(&group) {
            return Err(Condition::BadRequest.text("a group occurs twice"));
        }
        if groups.len() == MAX_GROUPS {
            return Err(Condition::NotAcceptable.text("too many groups"));
        }
        groups.push(group);
    }
    Ok(groups)
}

/// An item as a client sees it (RFC 6121 §2.1.2).
pub fn listed(item: &RosterItem) -> Node {
    let mut node = element("item").attr("jid", item.jid.as_str());
    if !item.name.is_empty() {
        node = node.attr("name", &item.name);
    }
    let subscription = match item.subscription {
        Subscription::Both => "both",
        Subscription::From => "from",
        Subscription::None => "none",
        Subscription::To => "to",
    };
    node = node.attr("subscription", subscription);
    if item.pending_out {
        node = node.attr("ask", "subscribe");
    }
    if item.approved {
        node = node.attr("approved", "true");
    }
    node.children(item.groups.iter().map(|group| element("group").text(group)))
}

/// The item for a roster push about an item that was removed (RFC 6121 §2.1.6).
pub fn removed(jid: &Jid) -> Node {
    element("item").attr("jid", jid.as_str()).attr("subscription", "remove")
}

/// A new item for this address, not in the roster yet.
#[must_use]
pub fn new(jid: Jid) -> RosterItem {
    RosterItem {
        jid,
        name: String::new(),
        groups: Vec::new(),
        subscription: Subscription::None,
        pending_out: false,
        pending_in: None,
        approved: false,
        listed: false,
    }
}

/// Bytes of a name or a group.
const MAX_NAME: usize = 1023;
/// Groups of an item.
const MAX_GROUPS: usize = 100;

#[cfg(test)]
mod tests {
    use super::{RosterSet, listed, new, removed};
    use crate::jid::{BareJid, Jid};
    use crate::stanza::Condition;
    use crate::storage::{RosterItem, Subscription};
    use crate::xml::Frame;

    fn read(items: &str) -> Result<RosterSet, Condition> {
        let xml = format!("<query xmlns='jabber:iq:roster'>{items}</query>");
        let frame = Frame::from_bytes(xml).unwrap();
        let user = BareJid::parse("romeo@localhost").unwrap();
        RosterSet::read(&user, &frame.root()).map_err(|error| error.condition)
    }

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    #[test]
    fn what_is_wrong_has_the_condition_of_the_specification() {
        let long = "n".repeat(1024);
        let many: String = (0..1000).map(|n| format!("<group>{n}</group>")).collect();
        let cases: &[(String, Condition)] = &[
            (String::new(), Condition::BadRequest),
            ("<item jid='a@b'/><item jid='c@d'/>".into(), Condition::BadRequest),
            ("<group/>".into(), Condition::BadRequest),
            ("<item name='a'/>".into(), Condition::BadRequest),
            ("<item xmlns='urn:x' jid='a@b'/>".into(), Condition::BadRequest),
            ("<item jid=''/>".into(), Condition::JidMalformed),
            ("<item jid='@b'/>".into(), Condition::JidMalformed),
            ("<item jid='a@'/>".into(), Condition::JidMalformed),
            ("<item jid='a@b/'/>".into(), Condition::JidMalformed),
            ("<item jid='a b@c'/>".into(), Condition::JidMalformed),
            (format!("<item jid='{long}@b'/>"), Condition::JidMalformed),
            ("<item jid='a@b@c' subscription='remove'/>".into(), Condition::JidMalformed),
            ("<item jid='romeo@localhost'/>".into(), Condition::NotAllowed),
            ("<item jid='ROMEO@localhost/orchard'/>".into(), Condition::NotAllowed),
            (format!("<item jid='a@b' name='{long}'/>"), Condition::NotAcceptable),
            ("<item jid='a@b'><group/></item>".into(), Condition::NotAcceptable),
            (format!("<item jid='a@b'><group>{long}</group></item>"), Condition::NotAcceptable),
            (format!("<item jid='a@b'>{many}</item>"), Condition::NotAcceptable),
            (
                "<item jid='a@b'><group>x</group><group>x</group></item>".into(),
                Condition::BadRequest,
            ),
        ];
        for (items, condition) in cases {
            assert_eq!(read(items), Err(*condition), "{items}");
        }
    }

    #[test]
    fn what_a_client_must_not_say_is_not_read() {
        let longest = "n".repeat(1023);
        let kept = |name: &str, groups: &[&str]| {
            let groups = groups.iter().map(|&group| group.to_owned()).collect();
            Ok(RosterSet::Keep { jid: jid("juliet@localhost"), name: name.to_owned(), groups })
        };
        let cases = [
            ("<item jid='juliet@localhost'/>".to_owned(), kept("", &[])),
            ("<item jid='Juliet@LOCALHOST/balcony' name='J'/>".to_owned(), kept("J", &[])),
            (
                "<item jid='juliet@localhost' subscription='both' ask='subscribe' approved='1'/>"
                    .to_owned(),
                kept("", &[]),
            ),
            (
                "<item jid='juliet@localhost' subscription='nonsense'><x xmlns='urn:x'/>\
                 <group>a</group><group>A</group></item>"
                    .to_owned(),
                kept("", &["a", "A"]),
            ),
            (
                "<x xmlns='urn:x'/><clique/><item jid='juliet@localhost' xmlns:y='urn:y' y:z='1'>\
                 <clique>x</clique><group>a</group></item><item xmlns='urn:x' jid='a@b'/>"
                    .to_owned(),
                kept("", &["a"]),
            ),
            (format!("<item jid='juliet@localhost' name='{longest}'/>"), kept(&longest, &[])),
            (
                "<item jid='juliet@localhost' subscription='remove'><group/><group/></item>"
                    .to_owned(),
                Ok(RosterSet::Remove(jid("juliet@localhost"))),
            ),
        ];
        for (items, wish) in cases {
            assert_eq!(read(&items), wish, "{items}");
        }
    }

    #[test]
    fn an_item_is_written_with_what_a_client_needs() {
        let full = RosterItem {
            name: "J & \"J\"".into(),
            groups: vec!["a<b".into()],
            subscription: Subscription::To,
            pending_out: true,
            approved: true,
            ..new(jid("juliet@localhost"))
        };
        let xml = listed(&full).to_xml();
        assert_eq!(
            xml,
            "<item jid='juliet@localhost' name='J &amp; &quot;J&quot;' subscription='to' \
             ask='subscribe' approved='true'><group>a&lt;b</group></item>"
        );
        let xml = removed(&full.jid).to_xml();
        assert_eq!(xml, "<item jid='juliet@localhost' subscription='remove'/>");
    }
}
