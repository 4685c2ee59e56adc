//! What goes into a mailbox and comes out of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::super::{CloseReason, MailboxLimits, Order, Session, Spared, TakeOver, Undelivered};
use super::{ROOMY, ids, message, open, reason, session};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Head, Message, MessageKind, Presence, PresenceKind, Stanza};
use crate::xml::{Frame, element};

#[tokio::test(start_paused = true)]
async fn stanzas_come_out_in_the_order_in_which_they_went_in() {
    let session = session(ROOMY);
    for id in 0..50 {
        session.handle().deliver(message(id, 1)).unwrap();
    }
    assert_eq!(session.handle().queued(), 50);
    assert_eq!(ids(&session.mailbox().take().0), (0..50).collect::<Vec<_>>());
    assert_eq!(session.handle().queued(), 0);
}

#[tokio::test(start_paused = true)]
async fn too_many_stanzas_close_the_session_and_nobody_waits() {
    let session = session(MailboxLimits { stanzas: 3, ..ROOMY });
    let handle = session.handle();
    for id in 0..3 {
        handle.deliver(message(id, 1)).unwrap();
    }
    assert_eq!(handle.deliver(message(3, 1)), Err(Undelivered::Overrun));
    assert_eq!(handle.deliver(message(4, 1)), Err(Undelivered::Overrun), "and on");
    let (stanzas, order) = session.mailbox().take();
    assert_eq!(ids(&stanzas), [0, 1, 2]);
    assert!(matches!(order, Some(Order::Close(CloseReason::Overrun))));
}

#[tokio::test(start_paused = true)]
async fn too_many_bytes_close_the_session_but_one_stanza_is_always_taken() {
    let session = session(MailboxLimits { stanzas: 100, bytes: 3000 });
    let handle = session.handle();
    handle.deliver(message(0, 10_000)).unwrap();
    assert_eq!(handle.deliver(message(1, 1)), Err(Undelivered::Overrun));
    assert_eq!(reason(&session), Some(CloseReason::Overrun));
    // What was taken out makes room.
    handle.deliver(message(2, 1000)).unwrap();
    handle.deliver(message(3, 1000)).unwrap();
    assert_eq!(handle.deliver(message(4, 1000)), Err(Undelivered::Overrun));
}

#[tokio::test(start_paused = true)]
async fn what_is_put_back_stands_before_what_came_since_and_counts_again() {
    let session = session(MailboxLimits { stanzas: 100, bytes: 3000 });
    let handle = session.handle();
    for id in 0..2 {
        handle.deliver(message(id, 600)).unwrap();
    }
    let (taken, _) = session.mailbox().take();
    handle.deliver(message(2, 600)).unwrap();
    session.mailbox().put_back(taken);
    assert_eq!(handle.deliver(message(3, 600)), Err(Undelivered::Overrun), "bytes are counted");
    assert_eq!(ids(&session.mailbox().take().0), [0, 1, 2]);
    session.mailbox().put_back(VecDeque::new());
    assert_eq!(handle.queued(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_order_overtakes_stanzas_and_the_first_one_counts() {
    let session = session(ROOMY);
    let handle = session.handle();
    assert!(session.mailbox().filled().now_or_never().is_none(), "there is nothing");
    handle.close(CloseReason::Kicked(None));
    handle.close(CloseReason::Shutdown);
    assert!(session.mailbox().filled().now_or_never().is_some());
    handle.deliver(message(0, 1)).unwrap();
    assert_eq!(reason(&session), Some(CloseReason::Kicked(None)));
}

#[tokio::test(start_paused = true)]
async fn the_writer_wakes_() {
    let session = session(ROOMY);
    let causes: [fn(&Session); 3] = [
        |session| _ = session.handle().deliver(message(0, 1)).unwrap(),
        |session| session.handle().close(CloseReason::Shutdown),
        |session| session.mailbox().wake_writer(),
    ];
    for (number, cause) in causes.iter().enumerate() {
        let woken = tokio::time::timeout(Duration::from_secs(60), session.mailbox().filled());
        let (woken, ()) = tokio::join!(woken, async { cause(&session) });
        assert!(woken.is_ok(), "cause {number}");
        drop(session.mailbox().take());
        assert!(session.mailbox().filled().now_or_never().is_none(), "cause {number} is over");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_for_the_writer_as_long_as_there_is_one() {
    let session = session(ROOMY);
    let handle = session.handle();
    for id in 0..5 {
        handle.deliver(message(id, 1)).unwrap();
    }
    assert!(session.mailbox().wait_for_capacity(5).now_or_never().is_some());
    assert!(session.mailbox().wait_for_capacity(4).now_or_never().is_none());
    let below =
        tokio::time::timeout(Duration::from_secs(60), session.mailbox().wait_for_capacity(4));
    let (below, _) = tokio::join!(below, async { session.mailbox().take() });
    assert!(below.is_ok(), "the writer took them");

    (0..5).for_each(|id| _ = handle.deliver(message(id, 1)).unwrap());
    let below =
        tokio::time::timeout(Duration::from_secs(60), session.mailbox().wait_for_capacity(4));
    let (below, ()) = tokio::join!(below, async { session.mailbox().set_writer(false) });
    assert!(below.is_ok(), "nobody will take them");
    assert!(!session.mailbox().has_writer());
    assert_eq!(handle.queued(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_closed_session_takes_nothing_and_gives_back_what_was_not_written() {
    let table = Arc::default();
    let session = open(&table, "romeo@montague.lit/orchard", ROOMY, 10);
    let handle = session.handle().clone();
    handle.deliver(message(0, 1)).unwrap();
    handle.deliver_addressed(message(1, 1)).unwrap();
    let unread = session.close();
    assert_eq!(ids(&unread.deliveries), [0, 1]);
    assert_eq!(unread.deliveries[1].to.as_ref().unwrap().as_str(), "romeo@montague.lit/orchard");
    assert_eq!(handle.deliver(message(2, 1)), Err(Undelivered::Closed));
    let too_late = TakeOver::begin(table, handle).session().await;
    assert!(too_late.is_none(), "an order that comes too late is answered");
}

/// The presence of a contact.
fn presence(from: &str) -> Arc<Stanza> {
    let (from, to) = (Jid::parse(from).unwrap(), Jid::parse("romeo@montague.lit").unwrap());
    Arc::new(Stanza::Presence(Presence::bare(PresenceKind::Available, from, to)))
}

#[tokio::test(start_paused = true)]
async fn presence_for_an_inactive_client_waits_until_half_of_the_mailbox_is_full() {
    let session = session(MailboxLimits { stanzas: 6, ..ROOMY });
    let (handle, mailbox) = (session.handle(), session.mailbox());
    mailbox.set_inactive(Spared::default());
    for _ in 0..20 {
        for from in ["a@b", "c@d", "e@f"] {
            handle.deliver(presence(from)).unwrap();
        }
    }
    assert_eq!(handle.queued(), 3, "the newest of each");
    assert_eq!(mailbox.filled().now_or_never(), None);
    handle.deliver(presence("g@h")).unwrap();
    assert_eq!(mailbox.filled().now_or_never(), Some(()));
    assert_eq!(mailbox.take().0.len(), 4);
    handle.deliver(presence("a@b")).unwrap();
    assert_eq!(mailbox.filled().now_or_never(), None, "then the rest waits again");
    mailbox.set_active();
    assert_eq!(mailbox.filled().now_or_never(), Some(()));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_spared_does_not_wait() {
    let session = session(ROOMY);
    let (handle, mailbox) = (session.handle(), session.mailbox());
    mailbox.set_inactive(Spared { presence: false, ..Spared::default() });
    assert!(handle.drops_chat_states());
    handle.deliver(presence("a@b")).unwrap();
    handle.deliver(presence("a@b")).unwrap();
    assert_eq!(mailbox.filled().now_or_never(), Some(()));
    assert_eq!(mailbox.take().0.len(), 2);
    mailbox.set_inactive(Spared { chat_states: false, ..Spared::default() });
    assert!(!handle.drops_chat_states());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_waits_replaces_nothing() {
    let session = session(ROOMY);
    let (handle, mailbox) = (session.handle(), session.mailbox());
    mailbox.set_inactive(Spared::default());
    handle.deliver(presence("a@b")).unwrap();
    let event = |from: &str| {
        let content = element("event").ns(ns::PUBSUB_EVENT).child(element("items"));
        let (from, kind) = (Some(Jid::parse(from).unwrap()), MessageKind::Headline);
        let head = Head { from, ..Head::default() };
        Arc::new(Stanza::Message(Message { head, kind, content: content.into() }))
    };
    for _ in 0..2 {
        handle.deliver_addressed(event("a@b")).unwrap();
    }
    assert_eq!(handle.queued(), 3);
    assert_eq!(mailbox.filled().now_or_never(), None);
    handle.deliver_addressed(event("romeo@montague.lit")).unwrap();
    assert_eq!(mailbox.filled().now_or_never(), Some(()), "it is the user's own");
    assert_eq!(mailbox.take().0.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_contact_on_another_server_waits() {
    let session = session(ROOMY);
    let (handle, mailbox) = (session.handle(), session.mailbox());
    let received = |from: &str, inner: &str| {
        let xml = format!(
            "<message from='{from}' to='romeo@montague.lit/orchard' type='headline'>\
             <event xmlns='{}'><items node='x'/></event>{inner}</message>",
            ns::PUBSUB_EVENT
        );
        Arc::new(Stanza::read(Frame::from_bytes(xml).unwrap()).unwrap())
    };
    mailbox.set_inactive(Spared::default());
    handle.deliver(received("juliet@c.example", "")).unwrap();
    assert_eq!(mailbox.filled().now_or_never(), None);
    // Not what a client sends, what people read, or what is the user's own.
    for now in [
        received("juliet@c.example/balcony", ""),
        received("juliet@c.example", "<body>x</body>"),
        received("romeo@montague.lit", ""),
    ] {
        handle.deliver(now).unwrap();
        assert_eq!(mailbox.filled().now_or_never(), Some(()));
        drop(mailbox.take());
        mailbox.set_inactive(Spared::default());
    }
}
