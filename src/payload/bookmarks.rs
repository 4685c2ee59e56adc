//! XEP-0402: PEP Native Bookmarks, and their older form, one list of all (XEP-0048). Reads and writes both,
//! and finds what has changed when a client writes the list.

use crate::jid::{BareJid, Jid};
use crate::xml::{ElementRef, Frame, Node, element};

/// The node in which each bookmark is an item, and the namespace of what is in it (XEP-0402 §2).
pub const NS: &str = "urn:xmpp:bookmarks:1";
/// The node whose only item is the list, and the namespace of the list (XEP-0048 §2).
pub const OLD_NS: &str = "storage:bookmarks";

/// A room that a user wants to find again (XEP-0402 §2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bookmark {
    /// The id of the item: the address of the room, as the client has written it.
    pub id: String,
    /// The address of the room.
    pub room: BareJid,
    /// The name for people.
    pub name: Option<String>,
    /// The client enters the room when it logs in.
    pub autojoin: bool,
    /// How the user is called there.
    pub nick: Option<String>,
    /// The password of the room.
    pub password: Option<String>,
    /// All other elements, as XML: `<extensions/>`, and what nobody knows. The older form has none.
    pub extensions: String,
}

/// The older form: one list (XEP-0048 §2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct List {
    /// The rooms, each once.
    pub rooms: Vec<Bookmark>,
    /// All other elements, as XML: web pages, and rooms without an address.
    pub others: String,
}

/// What must be changed so that the items say the same as the list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// To be published, under their ids.
    pub publish: Vec<Bookmark>,
    /// The ids of items to be retracted.
    pub retract: Vec<String>,
}

impl Bookmark {
    /// The bookmark in the item with this id. `None` if the id is no address of a room, or the element is
    /// something else.
    #[must_use]
    pub fn read(id: &str, conference: &ElementRef<'_>) -> Option<Self> {
        conference.is(NS, "conference").then(|| Self::of(id, conference, NS))?
    }

    /// A `<conference/>` of the list.
    fn read_old(conference: &ElementRef<'_>) -> Option<Self> {
        let this = Self::of(&conference.attr("jid")?, conference, OLD_NS)?;
        Some(Self { extensions: String::new(), ..this })
    }

    fn of(id: &str, conference: &ElementRef<'_>, ns: &str) -> Option<Self> {
        let room = Jid::parse(id).ok().filter(Jid::is_bare)?.to_bare();
        let text = |name| conference.child(ns, name).map(|child| child.text().into_owned());
        let is_other = |child: &ElementRef<'_>| !child.is(ns, "nick") && !child.is(ns, "password");
        Some(Self {
            id: id.to_owned(),
            room,
            name: conference.attr("name").map(std::borrow::Cow::into_owned),
            autojoin: matches!(conference.attr("autojoin").as_deref(), Some("1" | "true")),
            nick: text("nick"),
            password: text("password"),
            extensions: written(&conference.children().filter(is_other).collect::<Vec<_>>()),
        })
    }

    /// The element in the item.
    pub fn to_node(&self) -> Node {
        self.node(element("conference").ns(NS)).raw(self.extensions.as_bytes())
    }

    fn to_old(&self) -> Node {
        self.node(element("conference").attr("jid", self.room.as_str()))
    }

    fn node(&self, conference: Node) -> Node {
        let child = |name: &'static str, text: &Option<String>| {
            text.as_ref().map(|text| element(name).text(text))
        };
        conference
            .maybe_attr("name", self.name.as_deref())
            .maybe_attr("autojoin", self.autojoin.then_some("true"))
            .children(child("nick", &self.nick))
            .children(child("password", &self.password))
    }

    /// Whether the list has no news of this room: all that it can tell is as it was.
    fn is_told_by(&self, listed: &Self) -> bool {
        (&self.name, self.autojoin, &self.nick, &self.password)
            == (&listed.name, listed.autojoin, &listed.nick, &listed.password)
    }
}

impl List {
    /// Reads `<storage xmlns='storage:bookmarks'/>`. `None` if it is something else.
    #[must_use]
    pub fn read(storage: &ElementRef<'_>) -> Option<Self> {
        if !storage.is(OLD_NS, "storage") {
            return None;
        }
        let mut this = Self::default();
        for child in storage.children() {
            let room = child.is(OLD_NS, "conference").then(|| Bookmark::read_old(&child)).flatten();
            match room {
                Some(room) if this.find(&room.room).is_none() => this.rooms.push(room),
                Some(_) => {}
                None => this.others.push_str(&written(&[child])),
            }
        }
        Some(this)
    }

    /// `<storage xmlns='storage:bookmarks'/>` with these rooms and others.
    pub fn to_node(&self) -> Node {
        let rooms = self.rooms.iter().map(Bookmark::to_old);
        element("storage").ns(OLD_NS).children(rooms).raw(self.others.as_bytes())
    }

    /// What a client that has written this list wants to have changed (XEP-0402 §5.3.2). `items` are the
    /// bookmarks as they are. What the list cannot tell stays as it is.
    #[must_use]
    pub fn changes(&self, items: &[Bookmark]) -> Changes {
        let mut changes = Changes::default();
        for item in items {
            match self.find(&item.room) {
                None => changes.retract.push(item.id.clone()),
                Some(listed) if item.is_told_by(listed) => {}
                Some(listed) => changes.publish.push(Bookmark {
                    id: item.id.clone(),
                    extensions: item.extensions.clone(),
                    ..listed.clone()
                }),
            }
        }
        let is_new = |listed: &&Bookmark| items.iter().all(|item| item.room != listed.room);
        let new = self.rooms.iter().filter(is_new).cloned();
        changes.publish.extend(new.map(|room| Bookmark { id: room.room.to_string(), ..room }));
        changes
    }

    fn find(&self, room: &BareJid) -> Option<&Bookmark> {
        self.rooms.iter().find(|listed| listed.room == *room)
    }
}

/// The elements as XML.
fn written(elements: &[ElementRef<'_>]) -> String {
    let frames = elements.iter().filter_map(|element| Frame::from_tree(&element.to_tree()).ok());
    frames.map(|frame| String::from_utf8_lossy(frame.bytes()).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Bookmark, Changes, List};
    use crate::xml::Frame;

    fn list(children: &str) -> List {
        let storage = format!("<storage xmlns='storage:bookmarks'>{children}</storage>");
        List::read(&Frame::from_bytes(storage).unwrap().root()).unwrap()
    }

    fn item(id: &str, attributes: &str, children: &str) -> Option<Bookmark> {
        let open = format!("<conference xmlns='urn:xmpp:bookmarks:1' {attributes}>");
        let xml = format!("{open}{children}</conference>");
        Bookmark::read(id, &Frame::from_bytes(xml).unwrap().root())
    }

    /// XEP-0402 §3.2, and the same in the form of XEP-0048 §2.
    #[test]
    fn both_forms_say_the_same() {
        let extensions = "<extensions><state xmlns='http://myclient.example/bookmark/state' \
                          minimized='true'/></extensions>";
        let children = format!("<nick>JC</nick>{extensions}<password>p&amp;q</password>");
        let id = "orchard@conference.shakespeare.lit";
        let item = item(id, "name='The Orchard' autojoin='1'", &children).unwrap();
        let list = List { rooms: vec![item.clone()], others: String::new() };
        assert_eq!(
            list.to_node().to_xml(),
            "<storage xmlns='storage:bookmarks'><conference jid='orchard@conference.shakespeare.lit' name='The Orchard' autojoin='true'>\
             <nick>JC</nick>\
             <password>p&amp;q</password></conference></storage>"
        );
        let written = item.to_node().to_xml();
        let read = Bookmark::read(id, &Frame::from_bytes(written.clone()).unwrap().root());
        assert_eq!(read.unwrap(), item, "{written}");
        assert!(written.contains("minimized="), "{written}");
        let old = List::read(&Frame::from_bytes(list.to_node().to_bytes()).unwrap().root());
        assert_eq!(old.unwrap().changes(&[item]), Changes::default());
    }

    #[test]
    fn only_what_the_list_tells_anew_is_published_and_the_rest_is_kept() {
        let items = [
            item("a@rooms.lit", "name='A' autojoin='true'", "<extensions/>").unwrap(),
            item("B@rooms.lit", "name='B'", "<nick>n</nick><extensions/>").unwrap(),
            item("c@rooms.lit", "", "").unwrap(),
        ];
        let list = list(
            "<conference jid='A@Rooms.lit' name='A' autojoin='1'/>\
             <conference jid='b@rooms.lit' name='new'/>\
             <conference jid='D@rooms.lit'/><conference jid='d@rooms.lit' name='twice'/>",
        );
        let changes = list.changes(&items);
        assert_eq!(changes.retract, ["c@rooms.lit"]);
        let [b, d] = &changes.publish[..] else { unreachable!("{changes:?}") };
        assert_eq!(
            (b.id.as_str(), b.name.as_deref(), &b.nick),
            ("B@rooms.lit", Some("new"), &None)
        );
        assert_eq!(b.extensions, items[1].extensions);
        assert!(!b.extensions.is_empty());
        assert_eq!((d.id.as_str(), &d.name), ("d@rooms.lit", &None));
    }

    #[test]
    fn what_is_no_room_is_kept_in_the_list_and_is_no_bookmark() {
        let list = list(
            "<url name='W' url='https://example.lit/'/><conference name='no address'/>\
             <conference jid='@'/><conference jid='a@rooms.lit/nick'/><other xmlns='urn:x'>t</other>",
        );
        assert_eq!(list.rooms, []);
        let again = List::read(&Frame::from_bytes(list.to_node().to_bytes()).unwrap().root());
        assert_eq!(again.unwrap(), list);
        for kept in ["https://example.lit/", "no address", "'@'", "a@rooms.lit/nick", "urn:x"] {
            assert!(list.others.contains(kept), "{kept} in {}", list.others);
        }
        for id in ["", "@", "a@rooms.lit/nick"] {
            assert_eq!(item(id, "", ""), None, "{id}");
        }
        let other = Frame::from_bytes("<conference xmlns='storage:bookmarks'/>").unwrap();
        assert_eq!(Bookmark::read("a@rooms.lit", &other.root()), None);
        assert_eq!(List::read(&other.root()), None);
    }
}
