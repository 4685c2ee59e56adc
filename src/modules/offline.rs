//! XEP-0160: messages for those who are away wait for them.

use bytes::Bytes;

use crate::host::{Cx, Halt, Manifest, Module, Registry, Scope, Status, Xep};
use crate::jid::BareJid;
use crate::ns;
use crate::payload::delay;
use crate::session::SessionHandle;
use crate::stanza::{Condition, Message, MessageKind, Stanza};
use crate::storage::StorageError;
use crate::xml::Frame;
use std::sync::Arc;

const NS: &str = "msgoffline";

/// Keeps messages for those who are away.
pub struct Offline;

impl Module for Offline {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "offline",
            summary: "Keeps messages for those who are away",
            xeps: &[
                Xep { number: 160, version: "1.0.1", status: Status::Complete },
                Xep { number: 203, version: "2.0", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.feature(Scope::Host, NS);
    }
}

/// Keeps a message until its reader comes (XEP-0160 §2), marked with the time it was taken
/// (XEP-0203). It is durable when this returns.
///
/// What is worthless later is not kept: groupchat, headlines, errors, and chat messages without
/// anything but a chat state (XEP-0160 §3).
///
/// # Errors
/// `service-unavailable` to the sender if too many wait already (XEP-0160 §2) or it is not kept
/// though it was meant to be read; `internal-server-error` if the store fails.
pub async fn keep(cx: &Cx<'_>, user: &BareJid, message: &Message) -> Result<(), Halt> {
    if !is_worth_keeping(message) {
        return Ok(());
    }
    let at = cx.hosts.clock.now();
    let mut copy = message.clone();
    let own = |c: &crate::xml::ElementRef<'_>| {
        c.is(delay::NS, "delay") && c.attr("from").is_some_and(|f| f == cx.host.domain.as_str())
    };
    // A forged mark in our name would tell a wrong time. One of our own, from before a session
    // was lost, is kept: the message was taken then.
    let marked = matches!(cx.origin, crate::host::Origin::Internal)
        && copy.content.children().any(|c| own(&c));
    if !marked {
        copy.content.remove(own);
        copy.content.add(&delay::delay(&cx.host.jid, at));
    }
    let xml = Bytes::from(Stanza::Message(copy).to_bytes());
    let limit = cx.hosts.config.load().limits.offline_messages;
    match cx.hosts.storage.offline().keep(user, at, xml, limit).await {
        Ok(_) => {
            cx.hosts.metrics.offline_stored.inc();
            Ok(())
        }
        Err(StorageError::Limit(_)) => {
            Err(Condition::ServiceUnavailable.text("too many messages wait already").into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Delivers what waits to a client that has come online, oldest first.
///
/// # Errors
/// If the store fails: nothing is lost, it waits on.
pub async fn deliver(cx: &Cx<'_>, session: &SessionHandle) -> Result<(), StorageError> {
    let user = session.jid().to_bare();
    let store = cx.hosts.storage.offline();
    let mut after = 0;
    loop {
        let page = store.page(&user, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        for waiting in &page {
            let frame = Frame::from_bytes(waiting.xml.clone()).ok();
            let Some(Ok(stanza)) = frame.map(Stanza::read) else {
                tracing::error!(jid = %user, id = waiting.id, "a kept message cannot be read");
                continue;
            };
            // One by one at the pace of the client: what is not taken waits on.
            session.below(PAGE).await;
            if !session.has_writer() || session.deliver(Arc::new(stanza)).is_err() {
                store.forget(&user, waiting.id - 1).await?;
                return Ok(());
            }
            cx.hosts.metrics.offline_delivered.inc();
        }
        after = last.id;
        store.forget(&user, after).await?;
    }
}

fn is_worth_keeping(message: &Message) -> bool {
    match message.kind {
        MessageKind::Chat => message.content.children().any(|c| c.ns() != ns::CHAT_STATES),
        MessageKind::Normal => true,
        MessageKind::Error | MessageKind::Groupchat | MessageKind::Headline => false,
    }
}

/// Messages fetched from the store at once.
const PAGE: usize = 32;
