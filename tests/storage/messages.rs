//! What every backend must do with messages and resumable sessions.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use smallvec::{SmallVec, smallvec};
use waxwing::jid::Jid;
use waxwing::storage::{Holder, MessageId, NewMessage, Query, Storage, StorageError, Stored, Way};

use crate::cases::{account, at, body, user};

pub(crate) const ROMEO: &str = "romeo@localhost";
pub(crate) const JULIET: &str = "juliet@localhost";

pub(crate) fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

/// `owner` holds a message with somebody.
pub(crate) fn holder(owner: &str, with: &str, way: Way, archive: bool, waiting: bool) -> Holder {
    Holder { owner: user(owner), with: jid(with), way, archive, waiting, limit: None }
}

pub(crate) fn message(
    micros: i64,
    text: impl std::fmt::Display,
    holders: SmallVec<[Holder; 2]>,
) -> NewMessage {
    NewMessage { at: at(micros), xml: body(text), holders, handled: None }
}

/// From Romeo to Juliet, archived by both; Juliet has not got it.
pub(crate) fn letter(micros: i64, text: impl std::fmt::Display) -> NewMessage {
    let sent = holder(ROMEO, "juliet@localhost", Way::Sent, true, false);
    let received = holder(JULIET, "romeo@localhost/orchard", Way::Received, true, true);
    message(micros, text, smallvec![sent, received])
}

pub(crate) async fn keep(s: &Arc<dyn Storage>, message: NewMessage) -> MessageId {
    let kept = s.archive().keep(message).await.unwrap();
    kept.receipt.await.unwrap();
    kept.id
}

pub(crate) fn all() -> Query {
    Query { max: 1_000, ..Query::default() }
}

pub(crate) async fn rows(s: &Arc<dyn Storage>, owner: &str, query: &Query) -> Vec<Stored> {
    s.archive().page(&user(owner), query).await.unwrap().unwrap().rows
}

pub(crate) async fn ids(s: &Arc<dyn Storage>, owner: &str, query: &Query) -> Vec<MessageId> {
    rows(s, owner, query).await.iter().map(|row| row.id).collect()
}

async fn waiting(s: &Arc<dyn Storage>, owner: &str) -> Vec<MessageId> {
    let waiting = s.archive().waiting(&user(owner), None, 1_000).await.unwrap();
    assert_eq!(s.archive().waiting_count(&user(owner)).await.unwrap(), waiting.len() as u64);
    waiting.iter().map(|w| w.id).collect()
}

pub(crate) async fn a_message_that_is_replaced_is_replaced_for_all(s: Arc<dyn Storage>) {
    let id = keep(&s, letter(5_000, "secret")).await;
    let other = keep(&s, letter(6_000, "other")).await;
    let archive = s.archive();
    let by_word = Query { text: Some("secret".to_owned()), ..all() };
    assert_eq!(ids(&s, ROMEO, &by_word).await, [id]);
    assert!(!archive.replace(&user("nobody@localhost"), id, body("x")).await.unwrap());
    assert!(archive.replace(&user(ROMEO), id, body("gone")).await.unwrap());
    for owner in [ROMEO, JULIET] {
        let rows = rows(&s, owner, &all()).await;
        assert_eq!([rows[0].id, rows[1].id], [id, other]);
        assert_eq!((rows[0].at, &rows[0].xml), (at(5_000), &body("gone")));
        assert_eq!(rows[1].xml, body("other"));
    }
    let waiting = archive.waiting(&user(JULIET), None, 10).await.unwrap();
    assert_eq!((waiting[0].id, &waiting[0].xml), (id, &body("gone")));
    assert_eq!(ids(&s, ROMEO, &by_word).await, []);
}

pub(crate) async fn a_message_has_one_number_in_both_archives(s: Arc<dyn Storage>) {
    let id = keep(&s, letter(5_000, "hi")).await;
    assert_eq!(id.get(), 5_000 << 10, "microseconds, and the node");
    let sent = Stored {
        id,
        at: at(5_000),
        with: jid("juliet@localhost"),
        way: Way::Sent,
        xml: body("hi"),
    };
    assert_eq!(rows(&s, ROMEO, &all()).await, std::slice::from_ref(&sent));
    let received = Stored { with: jid("romeo@localhost/orchard"), way: Way::Received, ..sent };
    assert_eq!(rows(&s, JULIET, &all()).await, [received]);
    assert_eq!(waiting(&s, JULIET).await, [id]);
    assert_eq!(waiting(&s, ROMEO).await, []);
    let page = s.archive().page(&user("nobody@localhost"), &all()).await.unwrap().unwrap();
    assert!(page.rows.is_empty() && page.complete);
}

pub(crate) async fn what_was_handed_over_is_seen_at_once(s: Arc<dyn Storage>) {
    let mut receipts = Vec::new();
    for n in 1..=50 {
        let kept = s.archive().keep(letter(n, n)).await.unwrap();
        receipts.push(kept.receipt);
        assert_eq!(ids(&s, JULIET, &all()).await.last(), Some(&kept.id));
        assert_eq!(waiting(&s, JULIET).await, [kept.id]);
        s.archive().delivered(&user(JULIET), &[kept.id]).await.unwrap();
        assert_eq!(waiting(&s, JULIET).await, []);
        assert_eq!(s.archive().ends(&user(JULIET)).await.unwrap().unwrap().1.0, kept.id);
    }
    assert!(join_all(receipts).await.iter().all(Result::is_ok));
}

pub(crate) async fn numbers_grow_though_the_clock_goes_back(s: Arc<dyn Storage>) {
    let mut last = 0;
    for micros in [9_000_000_000, 9_000_000_000, 1_000, 8_999_000_000, 9_000_000_100] {
        let id = keep(&s, letter(micros, micros)).await;
        assert!(id.get() > last && id.get() >> 10 >= micros);
        last = id.get();
    }
    // Times are found all the same.
    let until = Query { end: Some(at(8_999_000_000)), ..all() };
    let times = |rows: Vec<Stored>| rows.iter().map(|r| r.at.as_micros()).collect::<Vec<_>>();
    assert_eq!(times(rows(&s, ROMEO, &until).await), [1_000, 8_999_000_000]);
    let from = Query { start: Some(at(9_000_000_000)), ..all() };
    let late = times(rows(&s, ROMEO, &from).await);
    assert_eq!(late, [9_000_000_000, 9_000_000_000, 9_000_000_100]);
}

pub(crate) async fn many_keep_at_once_and_all_is_in_order(s: Arc<dyn Storage>) {
    let sender = |n: i64| {
        let s = Arc::clone(&s);
        async move {
            let mut ids = Vec::new();
            for m in 0..20 {
                let kept = s.archive().keep(letter(1, format!("{n} {m}"))).await.unwrap();
                ids.push((kept.id, format!("{n} {m}"), kept.receipt));
            }
            let mut done = Vec::new();
            for (id, text, receipt) in ids {
                receipt.await.unwrap();
                done.push((id, body(text)));
            }
            assert!(done.is_sorted_by_key(|(id, _)| *id));
            done
        }
    };
    let mut kept = join_all((0..32).map(sender)).await.concat();
    kept.sort();
    let stored = rows(&s, JULIET, &all()).await;
    let stored: Vec<(MessageId, Bytes)> = stored.into_iter().map(|r| (r.id, r.xml)).collect();
    assert_eq!(stored, kept);
}

pub(crate) async fn what_is_not_archived_is_gone_when_delivered(s: Arc<dyn Storage>) {
    let passing =
        |n: i64| message(n, n, smallvec![holder(JULIET, ROMEO, Way::Received, false, true)]);
    let first = keep(&s, passing(1)).await;
    let second = keep(&s, passing(2)).await;
    let both = keep(&s, letter(3, 3)).await;
    assert_eq!(ids(&s, JULIET, &all()).await, [both]);
    let shown = s.archive().waiting(&user(JULIET), None, 9).await.unwrap();
    let shown: Vec<_> = shown.iter().map(|w| (w.id, w.archived, w.xml.clone())).collect();
    assert_eq!(shown, [(first, false, body(1)), (second, false, body(2)), (both, true, body(3))]);
    let page = s.archive().waiting(&user(JULIET), Some(first), 1).await.unwrap();
    assert_eq!(page.iter().map(|w| w.id).collect::<Vec<_>>(), [second]);

    s.archive().delivered(&user(JULIET), &[second, both, second]).await.unwrap();
    // Markers of other owners stay, and a marker that is not there is no error.
    s.archive().delivered(&user(ROMEO), &[first]).await.unwrap();
    s.archive().delivered(&user("nobody@localhost"), &[first]).await.unwrap();
    assert_eq!(waiting(&s, JULIET).await, [first]);
    assert_eq!(ids(&s, JULIET, &all()).await, [both]);
    s.archive().delivered(&user(JULIET), &[first]).await.unwrap();
    assert_eq!(waiting(&s, JULIET).await, []);
    assert_eq!(rows(&s, ROMEO, &all()).await[0].xml, body(3));
}

pub(crate) async fn a_message_to_oneself_is_held_once(s: Arc<dyn Storage>) {
    let sent = holder(ROMEO, ROMEO, Way::Sent, true, false);
    let received = holder(ROMEO, "romeo@localhost/orchard", Way::Received, false, true);
    let nothing = holder(JULIET, ROMEO, Way::Received, false, false);
    let id = keep(&s, message(1, "note", smallvec![sent, nothing, received])).await;
    assert_eq!(ids(&s, ROMEO, &all()).await, [id]);
    assert_eq!(waiting(&s, ROMEO).await, [id]);
    assert_eq!(ids(&s, JULIET, &all()).await, []);
    s.archive().delivered(&user(ROMEO), &[id]).await.unwrap();
    assert_eq!(rows(&s, ROMEO, &all()).await.len(), 1);
    // Held by nobody: there is a number, and nothing else.
    keep(&s, message(2, "lost", smallvec![])).await;
    assert_eq!(ids(&s, ROMEO, &all()).await, [id]);
}

pub(crate) async fn too_many_waiting_is_told_by_the_receipt(s: Arc<dyn Storage>) {
    let limited = |n: i64| {
        let mut letter = letter(n, n);
        letter.holders[1].limit = Some(2);
        letter.holders[1].archive = false;
        letter
    };
    let first = keep(&s, limited(1)).await;
    keep(&s, limited(2)).await;
    let kept = s.archive().keep(limited(3)).await.unwrap();
    assert!(matches!(kept.receipt.await, Err(StorageError::Limit(_))));
    assert_eq!(ids(&s, ROMEO, &all()).await.len(), 2, "the sender holds it neither");
    s.archive().delivered(&user(JULIET), &[first]).await.unwrap();
    keep(&s, limited(4)).await;
    // A message without a limit is not refused.
    keep(&s, letter(5, 5)).await;
    assert_eq!(waiting(&s, JULIET).await.len(), 3);
}

pub(crate) async fn a_removed_account_takes_its_archive(s: Arc<dyn Storage>) {
    s.accounts().create(&[account(ROMEO), account(JULIET)]).await.unwrap();
    let id = keep(&s, letter(1, "hi")).await;
    keep(&s, message(2, 2, smallvec![holder(JULIET, ROMEO, Way::Received, false, true)])).await;
    let (_, receipt) = s.resumption().begin(&user(JULIET), "balcony", "key").await.unwrap();
    receipt.await.unwrap();
    assert!(s.accounts().remove(&user(JULIET)).await.unwrap());
    assert_eq!(rows(&s, ROMEO, &all()).await[0].xml, body("hi"), "Romeo holds it still");
    s.accounts().create(&[account(JULIET)]).await.unwrap();
    assert_eq!(ids(&s, JULIET, &all()).await, []);
    assert_eq!(waiting(&s, JULIET).await, []);
    assert_eq!(s.resumption().find("key").await.unwrap(), None);
    s.accounts().remove(&user(ROMEO)).await.unwrap();
    let next = keep(&s, letter(1, "again")).await;
    assert!(next > id);
}
