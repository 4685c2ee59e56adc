//! Sessions that can be resumed, and how many stanzas each has handled.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use waxwing::payload::datetime::Timestamp;
use waxwing::storage::{Handled, SavedSession, SessionNumber, Storage};

use crate::cases::{at, user};
use crate::messages::{JULIET, ROMEO, keep, letter};

async fn note(s: &Arc<dyn Storage>, session: SessionNumber, count: u32) {
    s.resumption().handled(Handled { session, count }).await.unwrap().await.unwrap();
}

pub(crate) async fn a_count_is_remembered_with_its_message(s: Arc<dyn Storage>) {
    let sessions = s.resumption();
    let (number, receipt) = sessions.begin(&user(ROMEO), "orchard", "secret").await.unwrap();
    receipt.await.unwrap();
    let (second, receipt) = sessions.begin(&user(ROMEO), "orchard", "secret").await.unwrap();
    assert!(receipt.await.is_err(), "two sessions of one key");
    assert!(second > number);
    let with_count = |n: i64, count| {
        let mut letter = letter(n, n);
        letter.handled = Some(Handled { session: number, count });
        letter
    };
    let mut receipts = Vec::new();
    for n in 0..10 {
        receipts.push(s.archive().keep(with_count(n, u32::MAX - 5)).await.unwrap().receipt);
        note(&s, number, u32::MAX - 4).await;
        let count = (n as u32).wrapping_sub(3);
        receipts.push(s.archive().keep(with_count(n, count)).await.unwrap().receipt);
    }
    assert!(join_all(receipts).await.iter().all(Result::is_ok));
    let found = sessions.find("secret").await.unwrap().unwrap();
    assert_eq!((found.handled, found.number, found.ended), (6, number, None));
    assert_eq!((found.owner, found.resource), (user(ROMEO), "orchard".into()));
    note(&s, number, 7).await;
    note(&s, number, 3).await;
    assert_eq!(sessions.find("secret").await.unwrap().unwrap().handled, 7);
    // Refused or held by nobody: the stanza was handled all the same.
    let mut refused = with_count(1, 8);
    refused.holders[1].limit = Some(0);
    refused.holders[1].archive = false;
    assert!(s.archive().keep(refused).await.unwrap().receipt.await.is_err());
    assert_eq!(sessions.find("secret").await.unwrap().unwrap().handled, 8);
    let mut nobodys = with_count(1, 9);
    nobodys.holders.clear();
    keep(&s, nobodys).await;
    assert_eq!(sessions.find("secret").await.unwrap().unwrap().handled, 9);
}

pub(crate) async fn a_session_is_saved_found_and_forgotten(s: Arc<dyn Storage>) {
    let sessions = s.resumption();
    let (first, _receipt) = sessions.begin(&user(ROMEO), "a", "one").await.unwrap();
    let (second, _receipt) = sessions.begin(&user(JULIET), "b", "two").await.unwrap();
    let state = Bytes::from_static(b"\x00everything");
    let saved = |number| SavedSession { number, handled: 42, state: state.clone() };
    sessions.save(vec![saved(first), saved(second)]).await.unwrap();
    let all = sessions.all().await.unwrap();
    assert_eq!(all.iter().map(|r| r.key.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert!(all.iter().all(|r| r.state.as_ref() == Some(&state) && r.handled == 42));
    let (third, _receipt) = sessions.begin(&user(JULIET), "c", "three").await.unwrap();
    sessions.begin_anew(at(50)).await.unwrap();
    let all = sessions.all().await.unwrap();
    let left: Vec<_> = all.iter().map(|r| (r.number, r.ended, r.state.is_none())).collect();
    assert_eq!(left, [(first, None, true), (second, None, true)]);
    let lost = sessions.find("three").await.unwrap().unwrap();
    assert_eq!((lost.number, lost.ended), (third, Some(at(50))));
    assert_eq!(sessions.expire(at(51)).await.unwrap(), 1);
    sessions.save(vec![saved(first), saved(second)]).await.unwrap();
    sessions.end(first, Timestamp::from_micros(100)).await.unwrap();
    let ended = sessions.find("one").await.unwrap().unwrap();
    assert_eq!((ended.ended, ended.state, ended.handled), (Some(at(100)), None, 42));
    assert_eq!(sessions.expire(at(100)).await.unwrap(), 0);
    assert_eq!(sessions.expire(at(101)).await.unwrap(), 1);
    assert_eq!(sessions.find("one").await.unwrap(), None);
    let all = sessions.all().await.unwrap();
    assert_eq!(all.iter().map(|r| r.number).collect::<Vec<_>>(), [second]);
    // Those of an account, and nobody else's.
    assert_eq!(sessions.end_all(&user(ROMEO), at(200)).await.unwrap(), 0);
    assert_eq!(sessions.find("two").await.unwrap().unwrap().ended, None);
    assert_eq!(sessions.end_all(&user(JULIET), at(200)).await.unwrap(), 1);
    let ended = sessions.find("two").await.unwrap().unwrap();
    assert_eq!((ended.ended, ended.state, ended.handled), (Some(at(200)), None, 42));
    assert_eq!(sessions.end_all(&user(JULIET), at(300)).await.unwrap(), 0);
}

pub(crate) async fn many_sessions_come_and_go(s: Arc<dyn Storage>) {
    let sessions = s.resumption();
    let mut numbers = Vec::new();
    for n in 0..1_300_i64 {
        let key = format!("key {n}");
        let (number, _receipt) = sessions.begin(&user(ROMEO), "orchard", &key).await.unwrap();
        drop(sessions.handled(Handled { session: number, count: n as u32 }).await.unwrap());
        numbers.push(number);
    }
    for (number, n) in numbers.iter().zip(0..1_290) {
        sessions.end(*number, at(n)).await.unwrap();
    }
    for n in [0, 700, 1_289] {
        let found = sessions.find(&format!("key {n}")).await.unwrap().unwrap();
        assert_eq!((found.number, found.ended), (numbers[n as usize], Some(at(n))));
        assert_eq!(found.handled, n as u32);
    }
    let left = sessions.all().await.unwrap();
    assert_eq!(left.iter().map(|r| r.number).collect::<Vec<_>>(), numbers[1_290..]);
    let mut forgotten = 0;
    loop {
        match sessions.expire(at(1_280)).await.unwrap() {
            0 => break,
            some => forgotten += some,
        }
    }
    assert_eq!(forgotten, 1_280);
    assert_eq!(sessions.find("key 1279").await.unwrap(), None);
    assert_eq!(sessions.find("key 1280").await.unwrap().unwrap().handled, 1_280);
    assert_eq!(sessions.find("key 1299").await.unwrap().unwrap().ended, None);
}
