//! Looks for the message that is retracted, from the newest of the conversation on, and replaces it.

use crate::host::{ServerState, uploads};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::{Content, Message, MessageKind, Stanza};
use crate::storage::{self, MessageId, Query, Stored, Way};
use crate::xml::{Frame, element};

/// What is looked for.
#[derive(Clone, Debug)]
pub(super) struct Search {
    /// Whose archive it is.
    pub(super) owner: BareJid,
    pub(super) way: Way,
    /// The other side of the conversation; the whole address, if it is an occupant of a room.
    pub(super) with: Jid,
    /// The id of the message.
    pub(super) id: String,
    /// The id of the retraction.
    pub(super) by: String,
}

/// Where a search has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// The message is a tombstone, or is not there.
    Done,
    /// Older messages than this have not been looked at.
    Before(MessageId),
}

impl Search {
    /// Looks at so many pages of messages that are older than `before`, and makes a tombstone of the one that is meant.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn replace(
        &self,
        server: &ServerState,
        mut before: Option<MessageId>,
        (pages, max): (usize, usize),
    ) -> storage::Result<Ended> {
        for _ in 0..pages {
            let with = Some(self.with.clone());
            let query = Query { with, before, backwards: true, max, ..Query::default() };
            let page =
                server.storage.archive().page(&self.owner, &query).await?.unwrap_or_default();
            let mut of_sender = page.rows.iter().rev().filter(|row| row.way == self.way);
            let found = of_sender.find_map(|row| {
                let is_meant = |message: &Message| row.with == self.with || !is_of_room(message);
                read(row, &self.id).filter(is_meant).map(|message| (row, message))
            });
            if let Some((row, message)) = found {
                self.bury(server, row, message).await?;
                return Ok(Ended::Done);
            }
            let Some(first) = page.rows.first().filter(|_| !page.complete) else {
                return Ok(Ended::Done);
            };
            before = Some(first.id);
        }
        Ok(before.map_or(Ended::Done, Ended::Before))
    }

    /// Who has written the message.
    pub(super) fn author(&self) -> BareJid {
        if self.way == Way::Sent { self.owner.clone() } else { self.with.to_bare() }
    }

    async fn bury(
        &self,
        server: &ServerState,
        row: &Stored,
        mut message: Message,
    ) -> storage::Result<()> {
        if message.content.has_received_child(ns::RETRACT, "retracted") {
            return Ok(());
        }
        if server.config.load().files.remove_retracted {
            // The message may be stored once for both archives, and the other side may come first.
            uploads::remove_named(server, &self.author(), &row.xml).await?;
        }
        let stamp = server.clock.now().to_string();
        let retracted =
            element("retracted").ns(ns::RETRACT).attr("id", &self.by).attr("stamp", stamp);
        message.content = Content::from(retracted);
        let tombstone = Stanza::Message(message).to_bytes();
        server.storage.archive().replace(&self.owner, row.id, tombstone.into()).await.map(drop)
    }
}

/// Whether it is a private message in a room: clients and rooms mark it (XEP-0045 §7.5).
pub(super) fn is_of_room(message: &Message) -> bool {
    message.content.has_received_child(ns::MUC_USER, "x")
}

/// The message, if it has this id and is for people.
fn read(row: &Stored, id: &str) -> Option<Message> {
    let stanza = Stanza::read(Frame::from_bytes(row.xml.clone()).ok()?).ok()?;
    let Stanza::Message(message) = stanza else { return None };
    let is_for_people = matches!(message.kind, MessageKind::Chat | MessageKind::Normal);
    (is_for_people && message.head.id.as_deref() == Some(id)).then_some(message)
}
