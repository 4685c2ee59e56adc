//! Messages that come while older ones are in the store.

use futures_util::FutureExt as _;

use super::super::MailboxLimits;
use super::{ROOMY, ids, marker, message, session};

#[tokio::test(start_paused = true)]
async fn messages_that_come_while_others_wait_come_in_their_turn() {
    let session = session(ROOMY);
    let handle = session.handle();
    _ = handle.deliver_with_marker(message(0, 1), marker(1)).unwrap();
    _ = handle.deliver_with_marker(message(0, 1), marker(1)).unwrap();
    assert_eq!((handle.queued(), session.mailbox().has(marker(1))), (1, true), "once");
    handle.request_catch_up();
    assert!(session.mailbox().begin_catch_up().contains(&marker(1)));
    _ = handle.deliver_with_marker(message(2, 1), marker(3)).unwrap();
    assert_eq!((handle.queued(), session.mailbox().has(marker(3))), (1, false), "deferred");
    session.mailbox().deliver_stored(message(1, 1), marker(2)).unwrap();
    session.mailbox().buffer_new();
    _ = handle.deliver_with_marker(message(3, 1), marker(4)).unwrap();
    assert_eq!((handle.queued(), session.mailbox().has(marker(4))), (2, true), "held");
    session.mailbox().deliver_stored(message(2, 1), marker(3)).unwrap();
    session.mailbox().deliver_stored(message(3, 1), marker(4)).unwrap();
    assert!(session.mailbox().end_catch_up() && !session.mailbox().is_catching_up());
    _ = handle.deliver_with_marker(message(4, 1), marker(5)).unwrap();
    assert_eq!(ids(&session.mailbox().take().0), [0, 1, 2, 3, 4]);
    session.mailbox().release(&[marker(1), marker(2), marker(3)]);
    assert!(!session.mailbox().has(marker(1)) && session.mailbox().has(marker(4)));
    session.mailbox().wait_for_in_flight(2, usize::MAX).await;
    assert!(session.mailbox().wait_for_in_flight(1, usize::MAX).now_or_never().is_none());
    session.mailbox().release(&[marker(4)]);
    session.mailbox().wait_for_in_flight(1, usize::MAX).await;
}

#[tokio::test(start_paused = true)]
async fn too_much_to_be_held_is_read_later() {
    let session = session(ROOMY);
    let handle = session.handle();
    session.mailbox().buffer_new();
    (0..200).for_each(|n| {
        _ = handle.deliver_with_marker(message(n, 1), marker(1 + n as i64)).unwrap();
    });
    assert!(!session.mailbox().end_catch_up() && session.mailbox().is_catching_up());
    let (in_flight, since) = (session.mailbox().begin_catch_up(), session.mailbox().first_unread());
    assert!(in_flight.is_empty() && since == Some(marker(1)), "all of them were deferred");
    session.mailbox().buffer_new();
    _ = handle.deliver_with_marker(message(0, 1), marker(1)).unwrap();
    let unread = session.close();
    assert!(unread.deliveries.is_empty() && unread.was_catching_up, "what is held waits on");
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_leaves_messages_in_the_store() {
    let session = session(MailboxLimits { stanzas: 2, bytes: 1_000_000 });
    let handle = session.handle();
    (0..3).for_each(|n| {
        _ = handle.deliver_with_marker(message(n, 1), marker(1 + n as i64)).unwrap();
    });
    assert_eq!((handle.queued(), session.mailbox().is_catching_up()), (2, true));
    assert!(session.mailbox().take().1.is_none(), "nobody tells it to close");
    handle.deliver(message(9, 1)).unwrap();
    assert_eq!(ids(&session.mailbox().take().0), [9], "what has no marker cannot wait");
}

#[tokio::test(start_paused = true)]
async fn what_a_client_gets_while_its_session_catches_up_is_not_read_again() {
    let session = session(ROOMY);
    let handle = session.handle();
    // The tasks of two senders: the newer message comes first.
    _ = handle.deliver_with_marker(message(0, 1), marker(7)).unwrap();
    handle.request_catch_up();
    _ = handle.deliver_with_marker(message(1, 1), marker(6)).unwrap();
    session.mailbox().release(&[marker(7)]);
    assert!(session.mailbox().begin_catch_up().is_empty() && !handle.has_in_flight(marker(7)));
    assert_eq!(session.mailbox().first_unread(), Some(marker(6)), "7 is on this page");
    assert!(session.mailbox().has(marker(7)) && !session.mailbox().has(marker(6)));
    session.mailbox().deliver_stored(message(1, 1), marker(6)).unwrap();
    session.mailbox().deliver_stored(message(0, 1), marker(7)).unwrap();
    assert_eq!(ids(&session.mailbox().take().0), [0, 1]);
    session.mailbox().release(&[marker(6)]);
    assert!(!session.mailbox().has(marker(6)), "only messages behind it are read");
    session.mailbox().buffer_new();
    assert!(session.mailbox().end_catch_up() && !session.mailbox().has(marker(7)), "forgotten");
}
