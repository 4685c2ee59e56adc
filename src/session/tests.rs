//! Mailboxes and the table of sessions, without any stream.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::{
    CloseReason, Delivery, InboxLimits, Order, Resumption, Session, SessionFacts, SessionRef,
    SessionTable, Undelivered,
};
use crate::jid::{BareJid, FullJid};
use crate::payload::datetime::Timestamp;
use crate::stanza::{Presence, PresenceKind, Stanza};
use crate::storage::{MessageId, Resumable, SessionNumber};
use crate::xml::Frame;

const ROOMY: InboxLimits = InboxLimits { stanzas: 100, bytes: 1_000_000 };

fn facts() -> SessionFacts {
    let peer = "192.0.2.1:5222".parse().unwrap();
    SessionFacts {
        peer,
        tls: "TLSv1.3",
        since: Instant::now(),
        anonymous: false,
        resumable: false,
        newest: None,
        newest_seen: None,
    }
}

fn open(table: &Arc<SessionTable>, jid: &str, bounds: InboxLimits, limit: usize) -> Session {
    let session =
        Session::open(Arc::clone(table), FullJid::parse(jid).unwrap(), facts(), bounds, limit);
    session.handle().dismiss_backlog();
    session
}

fn session(bounds: InboxLimits) -> Session {
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

fn resources(table: &SessionTable, user: &str) -> Vec<String> {
    let sessions = table.of(&BareJid::parse(user).unwrap());
    sessions.iter().map(|s| s.jid().resource_part().to_owned()).collect()
}

fn reason(handle: &SessionRef) -> Option<CloseReason> {
    match handle.take().1 {
        Some(Order::Close(reason)) => Some(reason),
        _ => None,
    }
}

// ── the mailbox ──

#[tokio::test(start_paused = true)]
async fn stanzas_come_out_in_the_order_in_which_they_went_in() {
    let session = session(ROOMY);
    for id in 0..50 {
        session.handle().deliver(message(id, 1)).unwrap();
    }
    assert_eq!(session.handle().waiting(), 50);
    assert_eq!(ids(&session.handle().take().0), (0..50).collect::<Vec<_>>());
    assert_eq!(session.handle().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn too_many_stanzas_close_the_session_and_nobody_waits() {
    let session = session(InboxLimits { stanzas: 3, ..ROOMY });
    let handle = session.handle();
    for id in 0..3 {
        handle.deliver(message(id, 1)).unwrap();
    }
    assert_eq!(handle.deliver(message(3, 1)), Err(Undelivered::Overrun));
    assert_eq!(handle.deliver(message(4, 1)), Err(Undelivered::Overrun), "and on");
    let (stanzas, order) = handle.take();
    assert_eq!(ids(&stanzas), [0, 1, 2]);
    assert!(matches!(order, Some(Order::Close(CloseReason::Overrun))));
}

#[tokio::test(start_paused = true)]
async fn too_many_bytes_close_the_session_but_one_stanza_is_always_taken() {
    let session = session(InboxLimits { stanzas: 100, bytes: 3000 });
    let handle = session.handle();
    handle.deliver(message(0, 10_000)).unwrap();
    assert_eq!(handle.deliver(message(1, 1)), Err(Undelivered::Overrun));
    assert_eq!(reason(handle), Some(CloseReason::Overrun));
    // What was taken out makes room.
    handle.deliver(message(2, 1000)).unwrap();
    handle.deliver(message(3, 1000)).unwrap();
    assert_eq!(handle.deliver(message(4, 1000)), Err(Undelivered::Overrun));
}

#[tokio::test(start_paused = true)]
async fn what_is_put_back_stands_before_what_came_since_and_counts_again() {
    let session = session(InboxLimits { stanzas: 100, bytes: 3000 });
    let handle = session.handle();
    for id in 0..2 {
        handle.deliver(message(id, 600)).unwrap();
    }
    let (taken, _) = handle.take();
    handle.deliver(message(2, 600)).unwrap();
    handle.put_back(taken);
    assert_eq!(handle.deliver(message(3, 600)), Err(Undelivered::Overrun), "bytes are counted");
    assert_eq!(ids(&handle.take().0), [0, 1, 2]);
    handle.put_back(VecDeque::new());
    assert_eq!(handle.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_order_overtakes_stanzas_and_the_first_one_counts() {
    let session = session(ROOMY);
    let handle = session.handle();
    assert!(handle.filled().now_or_never().is_none(), "there is nothing");
    handle.close(CloseReason::Kicked(None));
    handle.close(CloseReason::Shutdown);
    assert!(handle.filled().now_or_never().is_some());
    handle.deliver(message(0, 1)).unwrap();
    assert_eq!(reason(handle), Some(CloseReason::Kicked(None)));
}

#[tokio::test(start_paused = true)]
async fn the_writer_wakes_for_a_stanza_an_order_and_a_prompt() {
    let session = session(ROOMY);
    let handle = session.handle();
    let causes: [fn(&SessionRef); 3] = [
        |handle| handle.deliver(message(0, 1)).unwrap(),
        |handle| handle.close(CloseReason::Shutdown),
        SessionRef::wake_writer,
    ];
    for (number, cause) in causes.iter().enumerate() {
        let woken = tokio::time::timeout(Duration::from_secs(60), handle.filled());
        let (woken, ()) = tokio::join!(woken, async { cause(handle) });
        assert!(woken.is_ok(), "cause {number}");
        drop(handle.take());
        assert!(handle.filled().now_or_never().is_none(), "cause {number} is over");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_for_the_writer_as_long_as_there_is_one() {
    let session = session(ROOMY);
    let handle = session.handle();
    for id in 0..5 {
        handle.deliver(message(id, 1)).unwrap();
    }
    assert!(handle.wait_for_capacity(5).now_or_never().is_some());
    assert!(handle.wait_for_capacity(4).now_or_never().is_none());
    let below = tokio::time::timeout(Duration::from_secs(60), handle.wait_for_capacity(4));
    let (below, _) = tokio::join!(below, async { handle.take() });
    assert!(below.is_ok(), "the writer took them");

    (0..5).for_each(|id| handle.deliver(message(id, 1)).unwrap());
    let below = tokio::time::timeout(Duration::from_secs(60), handle.wait_for_capacity(4));
    let (below, ()) = tokio::join!(below, async { handle.set_writer(false) });
    assert!(below.is_ok(), "nobody will take them");
    assert!(!handle.has_writer());
    assert_eq!(handle.waiting(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_closed_session_takes_nothing_and_gives_back_what_was_not_written() {
    let session = session(ROOMY);
    let handle = session.handle().clone();
    handle.deliver(message(0, 1)).unwrap();
    handle.deliver_addressed(message(1, 1)).unwrap();
    let unread = session.close();
    assert_eq!(ids(&unread.deliveries), [0, 1]);
    assert_eq!(unread.deliveries[1].to.as_ref().unwrap().as_str(), "romeo@montague.lit/orchard");
    assert_eq!(handle.deliver(message(2, 1)), Err(Undelivered::Closed));
    assert!(handle.take_over().await.is_err(), "an order that comes too late is answered");
    assert!(handle.wait_for_capacity(0).now_or_never().is_some());
}

/// RFC 6121 §4.6.3: what is not remembered cannot be told the end.
#[tokio::test(start_paused = true)]
async fn a_thousand_have_directed_presence_and_one_more_is_refused() {
    use crate::stanza::PresenceKind::{Available, Unavailable};
    let session = session(ROOMY);
    let jid = |n: usize| crate::jid::Jid::parse(&format!("c{n}@capulet.lit")).unwrap();
    let direct = |kind, n| session.handle().update_presence(|p| p.direct(kind, &jid(n)));
    assert!((0..1000).all(|n| direct(Available, n)));
    assert!(!direct(Available, 1000));
    assert!(direct(Available, 0), "it is one of them");
    assert!(direct(Unavailable, 1000), "a goodbye is always possible");
    assert!(direct(Unavailable, 0));
    assert!(direct(Available, 1000), "there is room again");
    assert_eq!(session.handle().presence(|p| p.directed.len()), 1000);
}

// ── the table ──

#[tokio::test(start_paused = true)]
async fn the_newer_session_of_an_address_wins() {
    let table = Arc::default();
    let old = open(&table, "romeo@montague.lit/orchard", ROOMY, 10);
    let new = open(&table, "romeo@montague.lit/orchard", ROOMY, 10);
    assert_eq!(reason(old.handle()), Some(CloseReason::Conflict));
    assert_eq!(reason(new.handle()), None);
    assert_eq!(table.find(new.handle().jid()).as_ref(), Some(new.handle()));
    assert_eq!(table.count(), 1);

    drop(old.close().deliveries);
    assert_eq!(table.find(new.handle().jid()).as_ref(), Some(new.handle()), "the newer one stays");
    drop(new);
    assert_eq!(table.count(), 0);
    assert!(table.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn too_many_sessions_close_the_oldest() {
    let table = Arc::default();
    let sessions: Vec<_> =
        (0..4).map(|i| open(&table, &format!("romeo@montague.lit/{i}"), ROOMY, 3)).collect();
    let other = open(&table, "juliet@capulet.lit/0", ROOMY, 3);
    assert_eq!(resources(&table, "romeo@montague.lit"), ["1", "2", "3"]);
    assert_eq!(reason(sessions[0].handle()), Some(CloseReason::Conflict));
    assert!(sessions[1..].iter().all(|s| reason(s.handle()).is_none()));
    // The same address again takes its own place, and nobody else's.
    let again = open(&table, "romeo@montague.lit/2", ROOMY, 3);
    assert_eq!(resources(&table, "romeo@montague.lit"), ["1", "3", "2"]);
    assert_eq!(reason(sessions[2].handle()), Some(CloseReason::Conflict));
    assert!(reason(sessions[1].handle()).is_none() && reason(again.handle()).is_none());
    assert_eq!(table.count(), 4);
    drop(other);
    assert_eq!(resources(&table, "juliet@capulet.lit"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_none_is_a_limit_of_one() {
    let table = Arc::default();
    let _one = open(&table, "romeo@montague.lit/1", ROOMY, 0);
    let _two = open(&table, "romeo@montague.lit/2", ROOMY, 0);
    assert_eq!(resources(&table, "romeo@montague.lit"), ["2"]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_a_panic_drops_leaves_the_table() {
    let table = Arc::default();
    let session = open(&table, "romeo@montague.lit/orchard", ROOMY, 10);
    let handle = session.handle().clone();
    let task = AssertUnwindSafe(|| {
        let _session = session;
        std::panic::resume_unwind(Box::new("as a fault in our code would"));
    });
    assert!(catch_unwind(task).is_err());
    assert_eq!(table.count(), 0);
    assert_eq!(handle.deliver(message(0, 1)), Err(Undelivered::Closed));
}

// ── what can be resumed (XEP-0198 §5) ──

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
    let id = session.link(|link| link.resumption()).unwrap().id;
    (session, id.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_session_is_found_by_its_id_and_only_by_its_account() {
    let table = Arc::default();
    let (session, id) = resumable(&table, "romeo@montague.lit/orchard");
    let (romeo, juliet) =
        (BareJid::parse("romeo@montague.lit").unwrap(), BareJid::parse("juliet@a.lit").unwrap());
    assert_eq!(table.find_resumable(&romeo, &id).as_ref(), Some(session.handle()));
    assert_eq!(table.find_resumable(&juliet, &id), None);
    assert_eq!(table.find_resumable(&romeo, "guessed"), None);
    assert!(id.len() >= 22, "128 bits");
    assert!(!session.manage(Some(resumption(None))), "once");

    assert!(session.handle().is_resumable());
    drop(session.close());
    assert_eq!(table.find_resumable(&romeo, &id), None, "it has ended");
}

#[tokio::test(start_paused = true)]
async fn what_the_client_did_not_acknowledge_is_given_back_before_what_was_not_written() {
    let table = Arc::default();
    let (session, _) = resumable(&table, "romeo@montague.lit/orchard");
    let handle = session.handle().clone();
    (0..3).for_each(|id| handle.deliver(message(id, 1)).unwrap());
    let (batch, written) = session.link(|link| link.write(handle.take().0));
    assert!(batch.request && written.len() == 3);
    handle.deliver(message(3, 1)).unwrap();
    assert_eq!(ids(&session.link(|link| link.acknowledged(1)).unwrap()), [0]);
    assert_eq!(ids(&session.close().deliveries), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_session_moves_to_who_takes_it_over() {
    let table = Arc::default();
    let (session, id) = resumable(&table, "romeo@montague.lit/orchard");
    let handle = session.handle().clone();
    handle.deliver(message(0, 1)).unwrap();
    let owner = async {
        session.handle().filled().await;
        // The stanzas wake it, and the order comes with them or after them.
        let (stanzas, order) = loop {
            let (stanzas, order) = session.handle().take();
            if order.is_some() {
                break (stanzas, order);
            }
            session.handle().put_back(stanzas);
            tokio::task::yield_now().await;
        };
        session.handle().put_back(stanzas);
        let Some(Order::HandOver(reply)) = order else { panic!("{order:?}") };
        reply.send(session).unwrap();
    };
    let (taken, ()) = tokio::join!(handle.take_over(), owner);
    let taken = taken.unwrap();
    assert_eq!(taken.handle(), &handle, "it is the same session");
    let user = handle.jid().to_bare();
    assert!(table.find_resumable(&user, &id).is_some(), "and can be resumed again");
    assert_eq!(ids(&taken.close().deliveries), [0]);
}

#[tokio::test(start_paused = true)]
async fn who_asked_last_takes_a_session_over_unless_it_is_to_close() {
    let table = Arc::default();
    let (session, _) = resumable(&table, "romeo@montague.lit/orchard");
    let handle = session.handle().clone();
    let (first, mut second) = (handle.take_over(), handle.take_over());
    let is_told = |answer: Option<Result<Session, _>>| answer.is_some_and(|had| had.is_err());
    assert!(is_told(first.now_or_never()), "it is told that somebody else has it");
    assert!((&mut second).now_or_never().is_none());
    handle.close(CloseReason::Conflict);
    let third = handle.take_over();
    assert!(is_told(second.now_or_never()) && is_told(third.now_or_never()));
    assert!(matches!(handle.take().1, Some(Order::Close(CloseReason::Conflict))));
}

// ── a restart of the server ──

#[tokio::test(start_paused = true)]
async fn a_session_that_is_to_detach_goes_nowhere_else_but_may_be_closed() {
    let table = Arc::default();
    let (session, _) = resumable(&table, "romeo@montague.lit/orchard");
    let handle = session.handle().clone();
    let (saving, mut saved) = tokio::sync::mpsc::channel(1);
    let mut is_saved = || saved.recv().now_or_never().is_some();
    let first = handle.take_over();
    handle.detach(saving.clone());
    assert!(first.now_or_never().is_some_and(|had| had.is_err()), "the server ends");
    assert!(handle.take_over().now_or_never().is_some_and(|had| had.is_err()));
    assert!(handle.has_order() && handle.interrupted().now_or_never().is_some());
    let Some(Order::Detach(token)) = handle.take().1 else { panic!("it is lost") };
    drop(saving);
    assert!(!is_saved());
    drop(token);
    assert!(is_saved());
    // The end counts for more.
    let (saving, mut saved) = tokio::sync::mpsc::channel::<()>(1);
    handle.detach(saving);
    handle.close(CloseReason::Shutdown);
    assert!(saved.recv().now_or_never().is_some(), "nobody waits for it");
    assert_eq!(reason(&handle), Some(CloseReason::Shutdown));
}

fn marker(number: i64) -> MessageId {
    MessageId::new(number).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_saved_session_goes_on_where_it_was() {
    let table = Arc::default();
    let (session, id) = resumable_as(&table, "romeo@montague.lit/orchard", Some(7));
    let handle = session.handle().clone();
    let contact = BareJid::parse("juliet@a.lit").unwrap();
    handle.update_presence(|p| {
        let presence =
            Presence::bare(PresenceKind::Available, handle.jid().clone(), contact.clone());
        p.available = Some(Arc::new(presence));
        p.priority = 5;
        p.interested = true;
        p.directed.insert(contact.clone().into());
    });
    (0..3).for_each(|n| handle.deliver_with_marker(message(n, 1), marker(10 + n as i64)).unwrap());
    drop(session.link(|link| link.write(handle.take().0)));
    drop(session.link(|link| link.acknowledged(1)).unwrap());
    handle.release(&[marker(10)]);
    assert!(session.link(|link| link.take().is_some() && !link.handled(true)));
    handle.deliver_with_marker(message(3, 1), marker(13)).unwrap();
    let ahead = session.save_ahead(Timestamp::from_micros(0), Some(marker(13)));
    assert_eq!(table.count(), 1, "it goes on");
    let (saved, unread) = session.save(Timestamp::from_micros(0), Some(marker(13))).unwrap();
    assert_eq!(ids(&unread.deliveries), [1, 2, 3], "should the store not take it");
    assert_eq!((table.count(), saved.handled), (0, 1));
    assert_eq!(ahead.as_ref(), Some(&saved), "what has not changed is not written again");

    let saved = Resumable {
        number: saved.number,
        owner: handle.jid().to_bare(),
        resource: "orchard".into(),
        key: id.clone(),
        handled: saved.handled,
        ended: None,
        state: Some(saved.state),
    };
    let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
    let (late, left) = Session::restore(&table, &saved, &facts(), ROOMY, at(301)).unwrap();
    assert_eq!(left, Duration::ZERO, "it is to end");
    drop(late);
    let (again, left) = Session::restore(&table, &saved, &facts(), ROOMY, at(100)).unwrap();
    assert_eq!(left, Duration::from_secs(200));
    assert_eq!(again.handle().jid(), handle.jid());
    assert!(table.find_resumable(&handle.jid().to_bare(), &id).is_some());
    assert_eq!(again.handle().priority(), Some(5));
    assert!(again.handle().presence(|p| p.interested && p.directed.contains(&*contact)));
    assert!(again.handle().has_backlog(), "it looks for what came meanwhile");
    let (in_custody, since) = (again.handle().begin_backlog(), again.handle().unread());
    assert_eq!((in_custody.len(), since), (3, Some(marker(14))), "but not for what it has");
    assert_eq!(again.link(|link| link.handled_count()), 1);
    assert!(again.link(|link| link.resumed(4)).is_err(), "the last one was never written");
    assert_eq!(ids(&again.link(|link| link.resumed(2)).unwrap()), [1]);
    let (_, written) = again.link(|link| link.write(Default::default()));
    assert_eq!(ids(&written), [2, 3]);
    assert!(
        again.close().deliveries.iter().map(|d| d.marker).eq([Some(marker(12)), Some(marker(13))])
    );
}

// ── what waits for an account ──

#[tokio::test(start_paused = true)]
async fn messages_that_come_while_others_wait_come_in_their_turn() {
    let session = session(ROOMY);
    let handle = session.handle();
    handle.deliver_with_marker(message(0, 1), marker(1)).unwrap();
    handle.deliver_with_marker(message(0, 1), marker(1)).unwrap();
    assert_eq!((handle.waiting(), handle.is_in_flight(marker(1))), (1, true), "once");
    handle.want_backlog();
    assert!(handle.begin_backlog().contains(&marker(1)));
    handle.deliver_with_marker(message(2, 1), marker(3)).unwrap();
    assert_eq!((handle.waiting(), handle.is_in_flight(marker(3))), (1, false), "deferred");
    handle.deliver_waiting(message(1, 1), marker(2)).unwrap();
    handle.buffer_backlog();
    handle.deliver_with_marker(message(3, 1), marker(4)).unwrap();
    assert_eq!((handle.waiting(), handle.is_in_flight(marker(4))), (2, true), "held");
    handle.deliver_waiting(message(2, 1), marker(3)).unwrap();
    handle.deliver_waiting(message(3, 1), marker(4)).unwrap();
    assert!(handle.end_backlog() && !handle.has_backlog());
    handle.deliver_with_marker(message(4, 1), marker(5)).unwrap();
    assert_eq!(ids(&handle.take().0), [0, 1, 2, 3, 4]);
    handle.release(&[marker(1), marker(2), marker(3)]);
    assert!(!handle.is_in_flight(marker(1)) && handle.is_in_flight(marker(4)));
    handle.in_flight_below(2, usize::MAX).await;
    assert!(handle.in_flight_below(1, usize::MAX).now_or_never().is_none());
    handle.release(&[marker(4)]);
    handle.in_flight_below(1, usize::MAX).await;
}

#[tokio::test(start_paused = true)]
async fn too_much_to_be_held_is_read_later() {
    let session = session(ROOMY);
    let handle = session.handle();
    handle.buffer_backlog();
    (0..200).for_each(|n| handle.deliver_with_marker(message(n, 1), marker(1 + n as i64)).unwrap());
    assert!(!handle.end_backlog() && handle.has_backlog());
    let (in_custody, since) = (handle.begin_backlog(), handle.unread());
    assert!(in_custody.is_empty() && since == Some(marker(1)), "all of them were deferred");
    handle.buffer_backlog();
    handle.deliver_with_marker(message(0, 1), marker(1)).unwrap();
    let unread = session.close();
    assert!(unread.deliveries.is_empty() && unread.had_backlog, "what is held waits on");
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_leaves_messages_in_the_store() {
    let session = session(InboxLimits { stanzas: 2, bytes: 1_000_000 });
    let handle = session.handle();
    (0..3).for_each(|n| handle.deliver_with_marker(message(n, 1), marker(1 + n as i64)).unwrap());
    assert_eq!((handle.waiting(), handle.has_backlog()), (2, true));
    assert!(handle.take().1.is_none(), "nobody tells it to close");
    handle.deliver(message(9, 1)).unwrap();
    assert_eq!(ids(&handle.take().0), [9], "what has no marker cannot wait");
}
