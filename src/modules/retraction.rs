//! XEP-0424: Message Retraction. A message that its sender retracts becomes a tombstone in the archives of both
//! sides, and for clients that have not got it yet.
//!
//! The message is looked for among the newest of the conversation (`search.rs`): a retraction costs at most four pages of
//! the archive, however large that is. An older message is looked for later (`older.rs`), among 20,000 of the conversation.

mod older;
mod search;

use std::sync::Arc;

use self::older::Older;
use self::search::{Ended, Search, is_of_room};
use crate::host::{
    AddressKind, Cx, Manifest, Module, OurDomain, Registry, ServerState, Status, Xep,
};
use crate::jid::BareJid;
use crate::ns;
use crate::stanza::{Message, MessageKind};
use crate::storage::Way;

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
        on.shared(Older::default());
    }

    fn start(&self, server: &Arc<ServerState>) {
        drop(server.tasks.spawn("retraction", older::run(Arc::clone(server))));
    }
}

/// Whether the message says that an earlier one is retracted.
#[must_use]
pub fn is_in(message: &Message) -> bool {
    message.content.has_received_child(ns::RETRACT, "retract")
}

/// Called when a message is in the archive of `owner`, who has sent or received it (`way`). If it retracts an earlier
/// message of the same sender, replaces that by a tombstone (XEP-0424 §4, §5). A failure is logged: the retraction itself
/// is stored.
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
    let (owner, id, by) = (owner.clone(), id.into_owned(), by.to_string());
    let search = Search { owner, way, with, id, by };
    match search.replace(cx.server, None, (PAGES, PAGE)).await {
        Ok(Ended::Done) => {}
        Ok(Ended::Before(oldest)) => {
            if !cx.server.shared::<Older>().add(search, oldest) {
                tracing::info!("a retracted message stays in the archive: too many are looked for");
            }
        }
        Err(error) => {
            tracing::error!(jid = %search.owner, %error, "a retracted message stays in the archive");
        }
    }
}

/// Messages of a page.
const PAGE: usize = 50;
/// Pages in which the message is looked for.
const PAGES: usize = 4;
