//! Sessions without a stream. Here is what the tests of all subjects use.

mod catch_up;
mod mailbox;
mod presence;
mod resumption;
mod size;
mod snapshot;
mod table;

use std::sync::Arc;
use std::time::Duration;

use super::{
    CloseReason, Delivery, MailboxLimits, Order, Resumption, Session, SessionFacts, SessionTable,
};
use crate::jid::FullJid;
use crate::stanza::Stanza;
use crate::storage::{MessageId, SessionNumber};
use crate::xml::Frame;

const ROOMY: MailboxLimits = MailboxLimits { stanzas: 100, bytes: 1_000_000 };

fn open(table: &Arc<SessionTable>, jid: &str, bounds: MailboxLimits, limit: usize) -> Session {
    let session = Session::open(
        Arc::clone(table),
        FullJid::parse(jid).unwrap(),
        SessionFacts::for_tests(),
        bounds,
        limit,
    );
    session.mailbox().go_live_if_undecided();
    session
}

fn session(bounds: MailboxLimits) -> Session {
    open(&Arc::default(), "romeo@montague.lit/orchard", bounds, 10)
}

/// A message with this id and a body of so many bytes.
fn message(id: usize, bytes: usize) -> Arc<Stanza> {
    let body = "x".repeat(bytes);
    let text = format!("<message id='{id}'><body>{body}</body></message>");
    Arc::new(Stanza::read(Frame::from_bytes(text).unwrap()).unwrap())
}

#[expect(single_use_lifetimes, reason = "an anonymous one cannot stand here")]
fn ids<'a>(deliveries: impl IntoIterator<Item = &'a Delivery>) -> Vec<usize> {
    deliveries.into_iter().map(|d| d.stanza.head().id.as_ref().unwrap().parse().unwrap()).collect()
}

fn reason(session: &Session) -> Option<CloseReason> {
    match session.mailbox().take().1 {
        Some(Order::Close(reason)) => Some(reason),
        _ => None,
    }
}

fn resumption(number: Option<i64>) -> Resumption {
    let number = number.map(SessionNumber::for_tests);
    Resumption { id: crate::random::random_id(), max: Duration::from_secs(300), number }
}

fn resumable(table: &Arc<SessionTable>, jid: &str) -> (Session, String) {
    resumable_as(table, jid, None)
}

fn resumable_as(table: &Arc<SessionTable>, jid: &str, number: Option<i64>) -> (Session, String) {
    let session = open(table, jid, ROOMY, 10);
    assert!(session.manage(Some(resumption(number))));
    let id = session.sm(|sm| sm.resumption()).unwrap().id;
    (session, id.to_string())
}

fn marker(number: i64) -> MessageId {
    MessageId::new(number).unwrap()
}
