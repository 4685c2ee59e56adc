//! Sessions that change their connection (XEP-0198 §5), or are to outlive the server.

use std::sync::Arc;

use futures_util::FutureExt as _;

use super::super::{CloseReason, Order, Session, SessionRef, SessionTable, TakeOver, Undelivered};
use super::{ids, message, reason, resumable, resumption};
use crate::jid::BareJid;

fn take_over(table: &Arc<SessionTable>, handle: &SessionRef) -> TakeOver {
    TakeOver::begin(Arc::clone(table), handle.clone())
}

fn is_refused(taking: &mut TakeOver) -> bool {
    taking.session().now_or_never().is_some_and(|session| session.is_none())
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
    (0..3).for_each(|id| _ = handle.deliver(message(id, 1)).unwrap());
    let (batch, written) = session.sm(|sm| sm.next_batch(session.mailbox().take().0));
    assert!(batch.request && written.len() == 3);
    handle.deliver(message(3, 1)).unwrap();
    assert_eq!(ids(&session.sm(|sm| sm.acknowledge(1)).unwrap()), [0]);
    assert_eq!(ids(&session.close().deliveries), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_session_moves_to_who_takes_it_over() {
    let table = Arc::default();
    let (session, id) = resumable(&table, "romeo@montague.lit/orchard");
    let handle = session.handle().clone();
    handle.deliver(message(0, 1)).unwrap();
    let owner = async {
        session.mailbox().filled().await;
        // The stanzas wake it, and the order comes with them or after them.
        let (stanzas, order) = loop {
            let (stanzas, order) = session.mailbox().take();
            if order.is_some() {
                break (stanzas, order);
            }
            session.mailbox().put_back(stanzas);
            tokio::task::yield_now().await;
        };
        session.mailbox().put_back(stanzas);
        let Some(Order::HandOver(to)) = order else { panic!("{order:?}") };
        session.hand_over(to).unwrap();
    };
    let mut taking = take_over(&table, &handle);
    let (taken, ()) = tokio::join!(taking.session(), owner);
    let taken = taken.unwrap();
    assert_eq!(taken.handle(), &handle, "it is the same session");
    let user = handle.jid().to_bare();
    assert!(table.find_resumable(&user, &id).is_some(), "and can be resumed again");
    assert_eq!(ids(&taken.close().deliveries), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_comes_when_nobody_waits_for_it_any_more_is_not_lost() {
    let table = Arc::default();
    let (session, id) = resumable(&table, "romeo@montague.lit/orchard");
    let (handle, user) = (session.handle().clone(), session.handle().jid().to_bare());
    let ordered = |session: &Session| match session.mailbox().take().1 {
        Some(Order::HandOver(to)) => to,
        order => panic!("{order:?}"),
    };
    // Nobody waits: its owner keeps it.
    drop(take_over(&table, &handle));
    let to = ordered(&session);
    let session = session.hand_over(to).unwrap_err();
    assert!(table.find_resumable(&user, &id).is_some());
    // It comes, and its new owner gives up at the same time.
    let mut taking = take_over(&table, &handle);
    let to = ordered(&session);
    session.hand_over(to).unwrap();
    assert!(table.find_resumable(&user, &id).is_some());
    let session = taking.give_up().unwrap();
    assert_eq!((session.handle(), taking.give_up().is_none()), (&handle, true));
    // It comes, and its new owner is dropped.
    let taking = take_over(&table, &handle);
    let to = ordered(&session);
    session.hand_over(to).unwrap();
    drop(taking);
    assert_eq!((table.count(), table.find_resumable(&user, &id)), (0, None));
    assert_eq!(handle.deliver(message(0, 1)), Err(Undelivered::Closed));
}

#[tokio::test(start_paused = true)]
async fn who_asked_last_takes_a_session_over_unless_it_is_to_close() {
    let table = Arc::default();
    let (session, _) = resumable(&table, "romeo@montague.lit/orchard");
    let handle = session.handle().clone();
    let (mut first, mut second) = (take_over(&table, &handle), take_over(&table, &handle));
    assert!(is_refused(&mut first), "it is told that somebody else has it");
    assert!(second.session().now_or_never().is_none());
    handle.close(CloseReason::Conflict);
    let mut third = take_over(&table, &handle);
    assert!(is_refused(&mut second) && is_refused(&mut third));
    assert!(matches!(session.mailbox().take().1, Some(Order::Close(CloseReason::Conflict))));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_to_detach_goes_nowhere_else_but_may_be_closed() {
    let table = Arc::default();
    let (session, _) = resumable(&table, "romeo@montague.lit/orchard");
    let handle = session.handle().clone();
    let (saving, mut saved) = tokio::sync::mpsc::channel(1);
    let mut is_saved = || saved.recv().now_or_never().is_some();
    let mut first = take_over(&table, &handle);
    handle.detach(saving.clone());
    assert!(is_refused(&mut first), "the server ends");
    assert!(is_refused(&mut take_over(&table, &handle)));
    assert!(
        session.mailbox().has_order() && session.mailbox().interrupted().now_or_never().is_some()
    );
    let Some(Order::Detach(token)) = session.mailbox().take().1 else { panic!("it is lost") };
    drop(saving);
    assert!(!is_saved());
    drop(token);
    assert!(is_saved());
    // The end counts for more.
    let (saving, mut saved) = tokio::sync::mpsc::channel::<()>(1);
    handle.detach(saving);
    handle.close(CloseReason::Shutdown);
    assert!(saved.recv().now_or_never().is_some(), "nobody waits for it");
    assert_eq!(reason(&session), Some(CloseReason::Shutdown));
}
