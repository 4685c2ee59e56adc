//! XEP-0160: messages for those who are away wait for them, by the mark "not yet delivered" that was
//! kept with them (docs/delivery.md). Here is how they come to a client after all.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashSet;
use tokio::time::timeout;

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
/// the session gets its messages directly. A session that wants no messages but those to its very
/// address gets those alone, and none that waited before it was bound (XEP-0160 §2).
///
/// May be dropped at any time: if the connection is lost, the session reads on when it is resumed.
/// `most`: messages that the client may have been given and not have got yet.
///
/// # Errors
/// If the store fails: nothing is lost, what waits goes on waiting.
pub async fn catch_up(hosts: &Hosts, session: &SessionHandle, most: usize) -> storage::Result<()> {
    if session.available().is_none() && is_behind(hosts, session).await? {
        // A client that has just been bound says in a moment whether it wants what waits.
        drop(timeout(APPEARING, session.available_at_last()).await);
    }
    // Mostly there is nothing, so look once; what comes meanwhile is held.
    session.hold_backlog();
    let mut reading = Reading::new(hosts, session, most);
    if reading.page().await?.is_empty() && session.end_backlog() {
        return Ok(());
    }
    loop {
        let in_custody = session.begin_backlog();
        reading = Reading { in_custody, ..Reading::new(hosts, session, most) };
        if !reading.read(None).await? {
            return Ok(());
        }
        // The rest: what was passed by until now. It has a number that was given until now.
        session.hold_backlog();
        if !reading.read(hosts.storage.archive().newest()).await? || session.end_backlog() {
            return Ok(());
        }
    }
}

/// Looks whether something waits for a session that has just been bound. If not, what others send to
/// its very address need not wait until it is known whether it wants what waits.
pub async fn look(hosts: &Hosts, session: &SessionHandle) {
    match is_behind(hosts, session).await {
        Ok(false) => session.dismiss_backlog(),
        Ok(true) => {}
        Err(error) => tracing::error!(jid = %session.jid(), %error, "it is unknown what waits"),
    }
}

/// Something has waited since before the session was bound.
async fn is_behind(hosts: &Hosts, session: &SessionHandle) -> storage::Result<bool> {
    let user = session.jid().to_bare();
    let oldest = hosts.storage.archive().waiting(&user, None, 1).await?;
    let newest = session.facts().newest;
    Ok(oldest.first().is_some_and(|waiting| Some(waiting.id) <= newest))
}

struct Reading<'a> {
    hosts: &'a Hosts,
    session: &'a SessionHandle,
    in_custody: FxHashSet<MessageId>,
    most: usize,
    /// Not only those to the session's own address, which came while it was there.
    all: bool,
    after: Option<MessageId>,
}

impl<'a> Reading<'a> {
    fn new(hosts: &'a Hosts, session: &'a SessionHandle, most: usize) -> Self {
        let all = session.priority() >= Some(0);
        let after = if all { None } else { session.facts().newest };
        Self { hosts, session, in_custody: FxHashSet::default(), most, all, after }
    }

    async fn page(&self) -> storage::Result<Vec<Waiting>> {
        let user = self.session.jid().to_bare();
        self.hosts.storage.archive().waiting(&user, self.after, PAGE).await
    }

    /// Until there is nothing more, or nothing up to `last`. `false` if the session has ended.
    async fn read(&mut self, last: Option<MessageId>) -> storage::Result<bool> {
        let Self { hosts, session, most, .. } = *self;
        let user = session.jid().to_bare();
        loop {
            let page = self.page().await?;
            let Some(newest) = page.last() else { return Ok(true) };
            for waiting in &page {
                self.after = Some(waiting.id);
                if self.in_custody.contains(&waiting.id) || session.has_custody(waiting.id) {
                    continue;
                }
                let Some(stanza) = again(hosts, &user, waiting, self.all) else { continue };
                if !self.all && stanza.head().to.as_ref() != Some(&**session.jid()) {
                    continue;
                }
                session.custody_below(most, BYTES).await;
                if session.deliver_waiting(stanza, waiting.id).is_err() {
                    return Ok(false);
                }
                hosts.metrics.offline_delivered.inc();
            }
            if last.is_some_and(|last| newest.id >= last) {
                return Ok(true);
            }
        }
    }
}

/// A session has ended, and its client has not got all that it was given: the user's other sessions
/// look for what waits, if they have not got it, either (RFC 6121 §8.5.2). If there is none, it waits
/// on: whoever sent it believes that it arrived.
pub fn pass_on(hosts: &Hosts, user: &BareJid) {
    for other in hosts.sessions.of(user).iter().filter(|other| other.priority() >= Some(0)) {
        other.want_backlog();
    }
}

/// A message as it is delivered after it has waited: with the time it was taken, if it is late
/// (XEP-0203), and the id that it has in the archive, the same each time (XEP-0359).
fn again(hosts: &Hosts, user: &BareJid, waiting: &Waiting, is_late: bool) -> Option<Arc<Stanza>> {
    let frame = Frame::from_bytes(waiting.xml.clone()).ok();
    let Some(Ok(Stanza::Message(mut message))) = frame.map(Stanza::read) else {
        tracing::error!(jid = %user, id = waiting.id.get(), "a kept message cannot be read");
        return None;
    };
    if is_late {
        message.content.add(&delay::delay(&hosts.get(user.domain())?.jid, waiting.at));
    }
    if waiting.archived {
        let id = hosts.message_ids.write(waiting.id);
        message.content.add(&stanza_id::stanza_id(user, &id));
    }
    Some(Arc::new(Stanza::Message(message)))
}

/// Messages fetched from the store at once.
const PAGE: usize = 32;
/// Bytes that a client may have been given and not have got yet; one message is always given.
const BYTES: usize = 256 * 1024;
/// From the binding of a session to its first presence.
const APPEARING: Duration = Duration::from_secs(1);
