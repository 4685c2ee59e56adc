//! XEP-0160: messages for those who are away wait for them, by the mark "not yet delivered" that was
//! kept with them (docs/delivery.md). Here is how they come to a client after all.

use std::sync::Arc;

use crate::host::{Hosts, Manifest, Module, Registry, Scope, Status, Xep};
use crate::jid::BareJid;
use crate::payload::{delay, stanza_id};
use crate::session::SessionHandle;
use crate::stanza::Stanza;
use crate::storage::{self, MessageId, Waiting};
use crate::xml::Frame;

const NS: &str = "msgoffline";

/// Delivers what has waited.
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

/// Delivers what waits for the account of a session, oldest first, at the pace of the client. What
/// comes meanwhile is kept and comes in its turn, so that nothing overtakes; when nothing is left,
/// the session gets its messages directly.
///
/// If the connection is lost on the way, the session goes on with it when it is resumed.
///
/// # Errors
/// If the store fails: nothing is lost, the rest waits for the next login.
pub async fn catch_up(hosts: &Hosts, session: &SessionHandle) -> storage::Result<()> {
    let caught_up = read_on(hosts, session).await;
    if caught_up.is_err() {
        session.abandon_backlog();
    }
    caught_up
}

async fn read_on(hosts: &Hosts, session: &SessionHandle) -> storage::Result<()> {
    let user = session.jid().to_bare();
    let store = hosts.storage.archive();
    loop {
        let in_custody = session.begin_backlog();
        let mut after = None;
        loop {
            let page = store.waiting(&user, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for waiting in page.iter().filter(|waiting| !in_custody.contains(&waiting.id)) {
                let Some(stanza) = again(hosts, &user, waiting) else { continue };
                // One by one at the pace of the client: what is not taken waits on.
                session.below(PAGE).await;
                if !session.has_writer() || session.deliver_waiting(stanza, waiting.id).is_err() {
                    return Ok(());
                }
                hosts.metrics.offline_delivered.inc();
            }
        }
        if session.end_backlog() {
            return Ok(());
        }
    }
}

/// What a session was given and its client has not got goes to the user's other sessions, if they
/// have not got it, either, or waits on (RFC 6121 §8.5.2): whoever sent it believes that it arrived.
///
/// # Errors
/// If the store fails: nothing is lost, all of it waits on.
pub async fn pass_on(hosts: &Hosts, user: &BareJid, marks: &[MessageId]) -> storage::Result<()> {
    let (Some(first), Some(last)) = (marks.iter().min(), marks.iter().max()) else {
        return Ok(());
    };
    let mut after = MessageId::new(first.get() - 1);
    loop {
        let others = hosts.sessions.of(user);
        if others.iter().all(|other| other.priority() < Some(0)) {
            return Ok(());
        }
        let page = hosts.storage.archive().waiting(user, after, PAGE).await?;
        let Some(newest) = page.last() else { return Ok(()) };
        for waiting in page.iter().filter(|waiting| marks.contains(&waiting.id)) {
            let Some(stanza) = again(hosts, user, waiting) else { continue };
            for other in others.iter().filter(|other| other.priority() >= Some(0)) {
                if other.deliver_marked(Arc::clone(&stanza), waiting.id).is_err() {
                    tracing::debug!(jid = %other.jid(), "a session ends: its messages wait on");
                }
            }
        }
        if newest.id >= *last {
            return Ok(());
        }
        after = Some(newest.id);
    }
}

/// A message as it is delivered after it has waited: with the time it was taken (XEP-0203), and the
/// id that it has in the archive, the same each time (XEP-0359).
fn again(hosts: &Hosts, user: &BareJid, waiting: &Waiting) -> Option<Arc<Stanza>> {
    let frame = Frame::from_bytes(waiting.xml.clone()).ok();
    let Some(Ok(Stanza::Message(mut message))) = frame.map(Stanza::read) else {
        tracing::error!(jid = %user, id = waiting.id.get(), "a kept message cannot be read");
        return None;
    };
    let host = hosts.get(user.domain())?;
    message.content.add(&delay::delay(&host.jid, waiting.at));
    if waiting.archived {
        let id = hosts.message_ids.write(waiting.id);
        message.content.add(&stanza_id::stanza_id(user, &id));
    }
    Some(Arc::new(Stanza::Message(message)))
}

/// Messages fetched from the store at once.
const PAGE: usize = 32;
