//! XEP-0424: Message Retraction. A message that its sender retracts becomes a tombstone in the archives of both
//! sides, and for clients that have not got it yet.
//!
//! The message is looked for among the newest of the conversation: a retraction costs at most four pages of the
//! archive, however large that is. An older message stays, and clients read the retraction behind it.

use crate::host::uploads;
use crate::host::{AddressKind, Cx, Manifest, Module, OurDomain, Registry, Status, Xep};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::{Content, Message, MessageKind, Stanza};
use crate::storage::{self, MessageId, Query, Stored, Way};
use crate::xml::{Frame, element};

/// Makes tombstones of retracted messages.
pub struct Retraction;

impl Module for Retraction {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "retraction",
            summary: "Makes tombstones of retracted messages in archives",
            xeps: &[Xep { number: 424, version: "0.4.2", status: Status::Complete }],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.disco_feature_of_registered(ns::RETRACT)
            .disco_feature_of_registered(ns::RETRACT_TOMBSTONE);
        on.disco_feature(AddressKind::Host, ns::RETRACT);
    }
}

/// Whether the message says that an earlier one is retracted.
#[must_use]
pub fn is_in(message: &Message) -> bool {
    message.content.has_received_child(ns::RETRACT, "retract")
}

/// A message is in the archive of `owner`, who has sent or received it (`way`). If it retracts an earlier message of
/// the same sender, that becomes a tombstone (XEP-0424 §4, §5). A failure is logged: the retraction itself is stored.
pub async fn replace_by_tombstone(cx: &Cx<'_>, owner: &BareJid, way: Way, message: &Message) {
    let is_chat = matches!(message.kind, MessageKind::Chat | MessageKind::Normal);
    let Some(retract) = message.content.received_child(ns::RETRACT, "retract").filter(|_| is_chat)
    else {
        return;
    };
    let with = if way == Way::Sent { &message.head.to } else { &message.head.from };
    let (Some(id), Some(by), Some(with)) = (retract.attr("id"), &message.head.id, with) else {
        return;
    };
    // The occupants of a room have one bare address, so only the whole one says who it is (XEP-0045 §7.5).
    let is_of_service = matches!(cx.server.ours(with.domain()), Some(OurDomain::Service(_)));
    let with = match is_of_service || is_of_room(message) {
        true => with.clone(),
        false => with.to_bare().into(),
    };
    if let Err(error) = replace(cx, owner, way, &with, &id, by).await {
        tracing::error!(jid = %owner, %error, "a retracted message stays in the archive");
    }
}

/// `with`: the other side of the conversation; the whole address, if it is an occupant of a room.
async fn replace(
    cx: &Cx<'_>,
    owner: &BareJid,
    way: Way,
    with: &Jid,
    id: &str,
    by: &str,
) -> storage::Result<()> {
    let archive = cx.server.storage.archive();
    let mut before: Option<MessageId> = None;
    for _ in 0..PAGES {
        let query = Query {
            with: Some(with.clone()),
            before,
            backwards: true,
            max: PAGE,
            ..Query::default()
        };
        let page = archive.page(owner, &query).await?.unwrap_or_default();
        let mut of_sender = page.rows.iter().rev().filter(|row| row.way == way);
        let found = of_sender.find_map(|row| {
            read(row, id).filter(|(row, message)| row.with == *with || !is_of_room(message))
        });
        if let Some((row, mut message)) = found {
            if !message.content.has_received_child(ns::RETRACT, "retracted") {
                if cx.server.config.load().files.remove_retracted {
                    // The message may be stored once for both archives, and the other side may come first.
                    let author = if way == Way::Sent { owner.clone() } else { row.with.to_bare() };
                    uploads::remove_named(cx.server, &author, &row.xml).await?;
                }
                let stamp = cx.server.clock.now().to_string();
                let retracted =
                    element("retracted").ns(ns::RETRACT).attr("id", by).attr("stamp", stamp);
                message.content = Content::from(retracted);
                let tombstone = Stanza::Message(message).to_bytes();
                archive.replace(owner, row.id, tombstone.into()).await?;
            }
            return Ok(());
        }
        let Some(first) = page.rows.first().filter(|_| !page.complete) else { break };
        before = Some(first.id);
    }
    Ok(())
}

/// Whether it is a private message in a room: clients and rooms mark it (XEP-0045 §7.5).
fn is_of_room(message: &Message) -> bool {
    message.content.has_received_child(ns::MUC_USER, "x")
}

/// The message, if it has this id and is for people.
fn read<'a>(row: &'a Stored, id: &str) -> Option<(&'a Stored, Message)> {
    let stanza = Stanza::read(Frame::from_bytes(row.xml.clone()).ok()?).ok()?;
    let Stanza::Message(message) = stanza else { return None };
    let is_for_people = matches!(message.kind, MessageKind::Chat | MessageKind::Normal);
    (is_for_people && message.head.id.as_deref() == Some(id)).then_some((row, message))
}

/// Messages of a page.
const PAGE: usize = 50;
/// Pages in which the message is looked for.
const PAGES: usize = 4;
