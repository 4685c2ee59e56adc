//! The real addresses of authors in the archive of a room, and who may read them (XEP-0313 §7.2).

use super::{Actor, Role, Room, Whois};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::Message;
use crate::xml::{ElementRef, Node, element};

/// Which real addresses of authors a reader may see.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuthorsSeen {
    /// All of them.
    All,
    /// Those of messages that were written while the room was non-anonymous.
    Open,
    /// None.
    None,
}

impl Room {
    /// Which real addresses a reader may see. Moderators and admins see all of them. Others see them only if the room is
    /// non-anonymous, and only of messages that were written while it was.
    #[must_use]
    pub fn authors_seen(&self, actor: &Actor) -> AuthorsSeen {
        let is_moderator =
            || self.occupants.of_user(&actor.user).any(|o| o.role == Role::Moderator);
        if self.affiliation_of(actor).is_admin() || is_moderator() {
            AuthorsSeen::All
        } else if self.config.whois == Whois::Anyone {
            AuthorsSeen::Open
        } else {
            AuthorsSeen::None
        }
    }

    /// What the archive stores of the author of a message: the full address, and status 100 if the room is
    /// non-anonymous now.
    pub fn author_in_archive(&self, author: &Jid) -> Node {
        author_node(author.as_str(), self.config.whois == Whois::Anyone)
    }

    /// What a reader gets of the author of a message in the archive. `None`: nothing.
    #[must_use]
    pub fn author_told(message: &Message, seen: AuthorsSeen) -> Option<Node> {
        let x = message.content.received_child(ns::MUC_USER, "x")?;
        let (jid, was_open) = read(&x)?;
        let is_told = seen == AuthorsSeen::All || (seen == AuthorsSeen::Open && was_open);
        is_told.then(|| author_node(&jid, false))
    }
}

/// What the archive keeps of an author when the message is removed: as it was.
pub(super) fn kept_author(message: &Message) -> Option<Node> {
    let (jid, was_open) = read(&message.content.received_child(ns::MUC_USER, "x")?)?;
    Some(author_node(&jid, was_open))
}

fn author_node(jid: &str, was_open: bool) -> Node {
    let open = was_open.then(|| element("status").attr("code", OPEN));
    element("x").ns(ns::MUC_USER).child(element("item").attr("jid", jid)).children(open)
}

/// The address, and whether the room was non-anonymous.
fn read(x: &ElementRef<'_>) -> Option<(String, bool)> {
    let jid = x.child(ns::MUC_USER, "item")?.attr("jid")?.into_owned();
    let is_open = |child: ElementRef<'_>| {
        child.is(ns::MUC_USER, "status") && child.attr("code").as_deref() == Some(OPEN)
    };
    Some((jid, x.children().any(is_open)))
}

/// The status code of a non-anonymous room (XEP-0045 §16.6.1).
const OPEN: &str = "100";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::muc::RoomConfig;
    use crate::muc::tests::Coven;
    use crate::stanza::Stanza;
    use crate::xml::Frame;

    fn archived(whois: Whois) -> Message {
        let coven = Coven::with(RoomConfig { whois, ..RoomConfig::default() });
        let author = Jid::parse("hag66@witches/pda").unwrap();
        let node = coven.room.author_in_archive(&author).to_xml();
        let xml = format!("<message type='groupchat'><body>x</body>{node}</message>");
        match Stanza::read(Frame::from_bytes(xml).unwrap()) {
            Ok(Stanza::Message(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses_are_told_to_those_who_could_know_them_then() {
        let told = |whois, seen| {
            Room::author_told(&archived(whois), seen).map(|node| node.to_xml()).unwrap_or_default()
        };
        let item =
            "<x xmlns='http://jabber.org/protocol/muc#user'><item jid='hag66@witches/pda'/></x>";
        assert_eq!(told(Whois::Anyone, AuthorsSeen::All), item);
        assert_eq!(told(Whois::Anyone, AuthorsSeen::Open), item);
        assert_eq!(told(Whois::Anyone, AuthorsSeen::None), "");
        assert_eq!(told(Whois::Moderators, AuthorsSeen::All), item);
        assert_eq!(told(Whois::Moderators, AuthorsSeen::Open), "");
        let kept = kept_author(&archived(Whois::Anyone)).unwrap().to_xml();
        assert!(kept.contains("code='100'"), "{kept}");
    }

    #[test]
    fn moderators_and_admins_are_told_all() {
        let coven = Coven::new();
        let seen = |name: &str| {
            let jid = Jid::parse(&format!("{name}@witches/pda")).unwrap();
            coven.room.authors_seen(&Actor::new(jid, false))
        };
        assert_eq!((seen("crone1"), seen("hag66")), (AuthorsSeen::All, AuthorsSeen::None));
    }
}
