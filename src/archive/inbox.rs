//! XEP-0430: the conversations of an account, with the number of unread messages in each, as its archive
//! knows them.
//!
//! The archive is gone through from its newest message backwards. What the user has written says how far the
//! user has read: an own message, or a marker that a message was displayed (XEP-0430 §4, XEP-0333), or what a
//! device has published (XEP-0490). So nothing is written when a message comes, and nothing can be out of step
//! with the archive.

use rustc_hash::{FxHashMap, FxHashSet};

use super::importance::{self, Importance};
use crate::jid::BareJid;
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
    read: FxHashSet<MessageId>,
    conversations: Vec<Conversation>,
    by_address: FxHashMap<BareJid, usize>,
}

impl<'a> Inbox<'a> {
    /// The inbox of `user`, in which nothing is yet. `read`: messages up to which the user's devices say that they
    /// were displayed.
    #[must_use]
    pub fn new(user: &'a BareJid, ids: &'a WireIds, read: FxHashSet<MessageId>) -> Self {
        Self { user, ids, read, conversations: Vec::new(), by_address: FxHashMap::default() }
    }

    /// Adds a message of the archive. Messages come from the newest to the oldest.
    pub fn add(&mut self, row: Stored) {
        let with = row.with.to_bare();
        let at = match self.by_address.get(&with) {
            Some(at) => *at,
            None => {
                let at = self.conversations.len();
                // What users write to themselves, they have read.
                let is_settled = with == *self.user;
                self.by_address.insert(with.clone(), at);
                self.conversations.push(Conversation {
                    with,
                    last: row.id,
                    latest: None,
                    unread: 0,
                    marked: None,
                    doubtful: 0,
                    is_settled,
                });
                at
            }
        };
        let conversation = &mut self.conversations[at];
        if conversation.is_settled && conversation.latest.is_some() {
            return;
        }
        if self.read.contains(&row.id) {
            conversation.settle();
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

impl Conversation {
    fn add(&mut self, row: Stored, message: &Message, ids: &WireIds) {
        let is_to_be_read = importance::of(message) == Some(Importance::Message);
        if !self.is_settled {
            match row.way {
                Way::Sent if is_to_be_read => self.settle(),
                Way::Sent => self.marked = self.marked.take().or_else(|| marked(message)),
                Way::Received if self.is_marked(&row, message, ids) => self.settle(),
                Way::Received if is_to_be_read && self.marked.is_some() => self.doubtful += 1,
                Way::Received => self.unread += usize::from(is_to_be_read),
            }
        }
        if is_to_be_read && self.latest.is_none() {
            self.latest = Some(row);
        }
    }

    /// This message and all older ones are read. What came between it and a newer marker is not.
    fn settle(&mut self) {
        self.unread += std::mem::take(&mut self.doubtful);
        self.is_settled = true;
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
        let (user, ids) = (BareJid::parse("romeo@a.example").unwrap(), WireIds::new(&[7; 32]));
        let mut inbox = Inbox::new(&user, &ids, FxHashSet::default());
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
