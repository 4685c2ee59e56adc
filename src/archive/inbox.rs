//! XEP-0430: the conversations of an account, with the number of unread messages in each, as its archive
//! knows them.
//!
//! The archive is gone through from its newest message backwards. What the user has written says how far the
//! user has read: an own message, or a marker that a message was displayed (XEP-0430 §4, XEP-0333). So does
//! what the user's devices tell each other (XEP-0490), also if the contact is told nothing. So nothing is
//! written when a message comes, and nothing can be out of step with the archive. A room has an archive of its own,
//! which is gone through in the same way.

use rustc_hash::FxHashMap;

use super::importance::{self, Importance};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::{Message, Stanza};
use crate::storage::{MessageId, Stored, Way, WireIds};
use crate::xml::Frame;

/// A conversation.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// The bare address of the other side.
    pub with: BareJid,
    /// The newest message in the archive, whatever it contains.
    pub last: MessageId,
    /// The newest message that has something to be read; `None` if none was found.
    pub latest: Option<Stored>,
    /// How many received messages have not been read.
    pub unread: usize,
    /// This message and all before it were displayed on a device of the user.
    displayed: Option<MessageId>,
    /// The message that the newest marker names, until it is found.
    marked: Option<String>,
    /// Messages older than the newest marker, and newer than the message that it names, if there is one.
    doubtful: usize,
    /// All older messages are read.
    is_settled: bool,
}

/// The conversations of an account, the one with the newest message first.
pub struct Inbox<'a> {
    user: &'a BareJid,
    ids: &'a WireIds,
    displayed: FxHashMap<BareJid, MessageId>,
    /// The newest message of the archive.
    newest: Option<MessageId>,
    conversations: Vec<Conversation>,
    by_address: FxHashMap<BareJid, usize>,
}

impl<'a> Inbox<'a> {
    /// The inbox of `user`, in which nothing is yet. `displayed` says by the address of the other side which
    /// message was the last that was displayed on a device of the user (XEP-0490).
    #[must_use]
    pub fn new(
        user: &'a BareJid,
        ids: &'a WireIds,
        displayed: FxHashMap<BareJid, MessageId>,
    ) -> Self {
        let (conversations, by_address) = (Vec::new(), FxHashMap::default());
        Self { user, ids, displayed, newest: None, conversations, by_address }
    }

    /// Adds a message of the archive. Messages come from the newest to the oldest.
    pub fn add(&mut self, row: Stored) {
        let newest = *self.newest.get_or_insert(row.id);
        let with = row.with.to_bare();
        let at = match self.by_address.get(&with) {
            Some(at) => *at,
            None => {
                let at = self.conversations.len();
                // What users write to themselves, they have read.
                let is_settled = with == *self.user;
                self.by_address.insert(with.clone(), at);
                // An id that is newer than all messages is none of this archive.
                let displayed = self.displayed.remove(&with).filter(|id| *id <= newest);
                self.conversations.push(Conversation {
                    is_settled,
                    ..Conversation::new(with, row.id, displayed)
                });
                at
            }
        };
        let conversation = &mut self.conversations[at];
        if conversation.is_settled && conversation.latest.is_some() {
            return;
        }
        let frame = Frame::from_bytes(row.xml.clone()).ok();
        if let Some(Ok(Stanza::Message(message))) = frame.map(Stanza::read) {
            conversation.add(row, &message, self.ids);
        }
    }

    /// The conversations, the one with the newest message first.
    #[must_use]
    pub fn into_conversations(self) -> Vec<Conversation> {
        self.conversations
    }
}

/// The conversation in a room, by the archive of the room.
pub struct RoomConversation<'a> {
    user: &'a BareJid,
    ids: &'a WireIds,
    room: BareJid,
    displayed: Option<MessageId>,
    conversation: Option<Conversation>,
}

impl<'a> RoomConversation<'a> {
    /// That of `user` in a room. `displayed`: the last message of the room that was displayed on a device of the
    /// user (XEP-0490).
    #[must_use]
    pub fn new(
        user: &'a BareJid,
        ids: &'a WireIds,
        room: BareJid,
        displayed: Option<MessageId>,
    ) -> Self {
        Self { user, ids, room, displayed, conversation: None }
    }

    /// Adds a message of the archive. Messages come from the newest to the oldest.
    pub fn add(&mut self, mut row: Stored) {
        let conversation = self.conversation.get_or_insert_with(|| {
            let displayed = self.displayed.filter(|id| *id <= row.id);
            Conversation::new(self.room.clone(), row.id, displayed)
        });
        let frame = Frame::from_bytes(row.xml.clone()).ok();
        if let Some(Ok(Stanza::Message(message))) = frame.map(Stanza::read) {
            row.way = if is_by(self.user, &message) { Way::Sent } else { Way::Received };
            conversation.add(row, &message, self.ids);
        }
    }

    /// No older message changes anything.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let conversation = self.conversation.as_ref();
        conversation.is_some_and(|one| one.is_settled && one.latest.is_some())
    }

    /// The conversation, without the real address of the author of its newest message. `None` if nothing was added.
    #[must_use]
    pub fn into_conversation(self) -> Option<Conversation> {
        let mut conversation = self.conversation?;
        if let Some(latest) = &mut conversation.latest {
            let frame = Frame::from_bytes(latest.xml.clone()).ok();
            if let Some(Ok(Stanza::Message(mut message))) = frame.map(Stanza::read) {
                message.content.remove(|child| child.is(ns::MUC_USER, "x"));
                latest.xml = Stanza::Message(message).to_bytes().into();
            }
        }
        Some(conversation)
    }
}

/// Whether a message in the archive of a room is by this user. Rooms note the real address of each author.
fn is_by(user: &BareJid, message: &Message) -> bool {
    let x = message.content.received_child(ns::MUC_USER, "x");
    let author = x.and_then(|x| x.child(ns::MUC_USER, "item")?.attr("jid"));
    author
        .and_then(|author| Jid::parse(&author).ok())
        .is_some_and(|it| it.bare_str() == user.as_str())
}

impl Conversation {
    fn new(with: BareJid, last: MessageId, displayed: Option<MessageId>) -> Self {
        Self {
            with,
            last,
            latest: None,
            unread: 0,
            displayed,
            marked: None,
            doubtful: 0,
            is_settled: false,
        }
    }

    fn add(&mut self, row: Stored, message: &Message, ids: &WireIds) {
        let is_to_be_read = importance::of(message) == Some(Importance::Message);
        if !self.is_settled {
            match row.way {
                Way::Sent if is_to_be_read => {
                    self.unread += std::mem::take(&mut self.doubtful);
                    self.is_settled = true;
                }
                Way::Sent => self.marked = self.marked.take().or_else(|| marked(message)),
                Way::Received if self.is_marked(&row, message, ids) => {
                    self.unread += std::mem::take(&mut self.doubtful);
                    self.is_settled = true;
                }
                // The message that a marker names may still be found.
                Way::Received if self.displayed.is_some_and(|id| row.id <= id) => {
                    self.is_settled = self.marked.is_none();
                }
                Way::Received if is_to_be_read && self.marked.is_some() => self.doubtful += 1,
                Way::Received => self.unread += usize::from(is_to_be_read),
            }
        }
        if is_to_be_read && self.latest.is_none() {
            self.latest = Some(row);
        }
    }

    /// Whether the user has said that this message was displayed. A marker names a message by the id that its
    /// sender gave it, or by the id that it has in the archive (XEP-0333 §4).
    fn is_marked(&self, row: &Stored, message: &Message, ids: &WireIds) -> bool {
        self.marked.as_ref().is_some_and(|marked| {
            message.head.id.as_deref() == Some(marked) || ids.write(row.id) == *marked
        })
    }
}

/// The message that a marker names, if it says that the message was read (XEP-0430 §4).
fn marked(message: &Message) -> Option<String> {
    let mut markers = message.content.received_children().filter(|child| {
        child.ns() == ns::CHAT_MARKERS && matches!(child.name(), "displayed" | "acknowledged")
    });
    markers.next()?.attr("id").map(|id| id.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::Jid;
    use crate::payload::datetime::Timestamp;

    /// What is said in the archive of Romeo, oldest first: from whom or to whom, the way, the id, the content.
    fn unread(said: &[(&str, Way, &str, &str)]) -> Vec<(String, usize)> {
        unread_after(0, said)
    }

    /// The same, if a device has displayed what Juliet said up to the message of this number.
    fn unread_after(displayed: i64, said: &[(&str, Way, &str, &str)]) -> Vec<(String, usize)> {
        let (user, ids) = (BareJid::parse("romeo@a.example").unwrap(), WireIds::new(&[7; 32]));
        let displayed = MessageId::new(displayed).filter(|id| id.get() > 0);
        let displayed = displayed.map(|id| (BareJid::parse(JULIET).unwrap(), id)).into_iter();
        let mut inbox = Inbox::new(&user, &ids, displayed.collect());
        for (number, (with, way, id, inner)) in said.iter().enumerate().rev() {
            let number = number as i64 + 1;
            inbox.add(Stored {
                id: MessageId::new(number).unwrap(),
                at: Timestamp::from_micros(number),
                with: Jid::parse(with).unwrap(),
                way: *way,
                xml: format!("<message type='chat' id='{id}'>{inner}</message>").into(),
            });
        }
        let all = inbox.into_conversations().into_iter();
        all.map(|one| (one.with.to_string(), one.unread)).collect()
    }

    fn displayed(id: &str) -> String {
        format!("<displayed xmlns='urn:xmpp:chat-markers:0' id='{id}'/>")
    }

    const HI: &str = "<body>hi</body>";
    const JULIET: &str = "juliet@b.example";
    use Way::{Received, Sent};

    #[test]
    fn what_the_user_has_written_says_how_far_the_user_has_read() {
        let received = |id: &'static str| ("juliet@b.example/balcony", Received, id, HI);
        let count = |said: &[(&str, Way, &str, &str)]| unread(said)[0].1;
        assert_eq!(count(&[received("1"), received("2")]), 2);
        assert_eq!(count(&[received("1"), (JULIET, Sent, "s", HI), received("2")]), 1);
        let (first, second) = (displayed("1"), displayed("2"));
        let mark = |marker| (JULIET, Sent, "m", marker);
        assert_eq!(count(&[received("1"), received("2"), mark(&*second)]), 0);
        assert_eq!(count(&[received("1"), received("2"), mark(&*first)]), 1);
        assert_eq!(count(&[received("1"), mark(&*first), received("2"), received("3")]), 2);
        // The newest marker counts.
        assert_eq!(count(&[received("1"), received("2"), mark(&*first), mark(&*second)]), 0);
        // A marker that names what is not there covers what came before it.
        assert_eq!(count(&[received("1"), mark(&*displayed("?")), received("2")]), 1);
        // What cannot be read is not unread: receipts and markers of the contact.
        assert_eq!(count(&[received("1"), (JULIET, Received, "2", &*first)]), 1);
    }

    #[test]
    fn what_a_device_has_displayed_is_read() {
        let received = |id: &'static str| (JULIET, Received, id, HI);
        let three = [received("1"), received("2"), received("3")];
        let count = |displayed, said: &[_]| unread_after(displayed, said)[0].1;
        assert_eq!(count(0, &three), 3);
        assert_eq!(count(1, &three), 2);
        assert_eq!(count(3, &three), 0);
        // An id that this archive has not reached is none of it.
        assert_eq!(count(4, &three), 3);
        // Whichever says that more was read: a marker, a message of the user, or the device.
        let (first, third) = (displayed("1"), displayed("3"));
        let marked =
            |marker| [received("1"), received("2"), received("3"), (JULIET, Sent, "m", marker)];
        assert_eq!(count(2, &marked(&*first)), 1);
        assert_eq!(count(1, &marked(&*third)), 0);
        assert_eq!(count(1, &[received("1"), (JULIET, Sent, "s", HI), received("2")]), 1);
        // A marker that names what is not there covers what came before it.
        assert_eq!(count(2, &marked(&*displayed("?"))), 0);
        // Of other conversations it says nothing.
        let other = [("nurse@a.example", Received, "1", HI), received("2")];
        assert_eq!(unread_after(2, &other)[1].1, 1);
    }

    #[test]
    fn in_a_room_the_user_has_read_what_came_before_an_own_message() {
        let (user, ids) = (BareJid::parse("romeo@a.example").unwrap(), WireIds::new(&[7; 32]));
        let room = BareJid::parse("garden@rooms.a.example").unwrap();
        let unread = |displayed: i64, authors: &[&str]| {
            let displayed = MessageId::new(displayed);
            let mut inside = RoomConversation::new(&user, &ids, room.clone(), displayed);
            for (number, author) in authors.iter().enumerate().rev() {
                let number = number as i64 + 1;
                let x = format!(
                    "<x xmlns='http://jabber.org/protocol/muc#user'><item jid='{author}'/></x>"
                );
                inside.add(Stored {
                    id: MessageId::new(number).unwrap(),
                    at: Timestamp::from_micros(number),
                    with: Jid::parse("garden@rooms.a.example/somebody").unwrap(),
                    way: Received,
                    xml: format!("<message type='groupchat'><body>hi</body>{x}</message>").into(),
                });
            }
            let is_complete = inside.is_complete();
            let conversation = inside.into_conversation().unwrap();
            let latest = conversation.latest.unwrap().xml;
            assert!(!String::from_utf8_lossy(&latest).contains("jid="), "{latest:?}");
            (conversation.unread, is_complete)
        };
        let romeo = "romeo@a.example";
        assert_eq!(unread(0, &[JULIET, JULIET]), (2, false));
        assert_eq!(unread(0, &[JULIET, romeo, JULIET]), (1, true));
        assert_eq!(unread(0, &[JULIET, romeo]), (0, true));
        assert_eq!(unread(1, &[JULIET, JULIET]), (1, true));
        assert_eq!(unread(7, &[JULIET, JULIET]), (2, false));
    }

    #[test]
    fn conversations_come_by_their_newest_message() {
        let said = [
            (JULIET, Received, "1", HI),
            ("nurse@a.example", Sent, "2", HI),
            ("tybalt@c.example/x", Received, "3", HI),
            ("juliet@b.example/y", Received, "4", HI),
            ("romeo@a.example", Sent, "5", HI),
        ];
        let expected = [
            ("romeo@a.example", 0),
            ("juliet@b.example", 2),
            ("tybalt@c.example", 1),
            ("nurse@a.example", 0),
        ];
        assert_eq!(unread(&said), expected.map(|(with, count)| (with.to_owned(), count)));
    }
}
