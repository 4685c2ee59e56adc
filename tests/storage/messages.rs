//! What every backend must do with messages and resumable sessions.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use smallvec::{SmallVec, smallvec};
use waxwing::jid::Jid;
use waxwing::payload::datetime::Timestamp;
use waxwing::storage::{
    Count, Handled, Holder, MessageId, NewMessage, Query, Retention, SavedSession, SessionNumber,
    Storage, StorageError, Stored, Way,
};

use crate::cases::{account, at, body, user};

const ROMEO: &str = "romeo@localhost";
const JULIET: &str = "juliet@localhost";

fn jid(text: &str) -> Jid {
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
    NewMessage { at: at(micros), xml: body(text), holders, search: None, handled: None }
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

fn all() -> Query {
    Query { max: 1_000, ..Query::default() }
}

async fn rows(s: &Arc<dyn Storage>, owner: &str, query: &Query) -> Vec<Stored> {
    s.archive().page(&user(owner), query).await.unwrap().unwrap().rows
}

async fn ids(s: &Arc<dyn Storage>, owner: &str, query: &Query) -> Vec<MessageId> {
    rows(s, owner, query).await.iter().map(|row| row.id).collect()
}

async fn waiting(s: &Arc<dyn Storage>, owner: &str) -> Vec<MessageId> {
    let waiting = s.archive().waiting(&user(owner), None, 1_000).await.unwrap();
    assert_eq!(s.archive().waiting_count(&user(owner)).await.unwrap(), waiting.len() as u64);
    waiting.iter().map(|w| w.id).collect()
}

pub(crate) async fn a_message_that_is_replaced_is_replaced_for_all(s: Arc<dyn Storage>) {
    let id =
        keep(&s, NewMessage { search: Some("secret".into()), ..letter(5_000, "secret") }).await;
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
    // Not counted for those who do not ask.
    keep(&s, letter(5, 5)).await;
    assert_eq!(waiting(&s, JULIET).await.len(), 3);
}

/// A small generator of numbers without pattern.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % below
    }
}

const PEERS: [&str; 6] = [
    "juliet@localhost",
    "juliet@localhost/balcony",
    "juliet@localhost/balcony2",
    "juliet@localhost0/x",
    "nurse@localhost/kitchen",
    "localhost",
];

/// What a page must be, said without any cleverness.
fn expected(archive: &[Stored], query: &Query) -> (Vec<Stored>, bool) {
    let with = |row: &Stored| match &query.with {
        None => true,
        Some(with) if with.is_bare() => row.with.to_bare().into_jid() == *with,
        Some(with) => row.with == *with,
    };
    let mut found: Vec<Stored> = archive
        .iter()
        .filter(|row| with(row))
        .filter(|row| query.start.is_none_or(|s| row.at >= s))
        .filter(|row| query.end.is_none_or(|e| row.at <= e))
        .filter(|row| query.above.max(query.after).is_none_or(|a| row.id > a))
        .filter(|row| query.below.is_none_or(|b| row.id < b))
        .filter(|row| query.before.is_none_or(|b| row.id < b))
        .filter(|row| query.ids.as_ref().is_none_or(|ids| ids.contains(&row.id)))
        .skip(query.index.unwrap_or_default() as usize)
        .cloned()
        .collect();
    let complete = found.len() <= query.max;
    if query.backwards {
        found.drain(..found.len().saturating_sub(query.max));
    } else {
        found.truncate(query.max);
    }
    (found, complete)
}

pub(crate) async fn pages_are_what_was_asked_for(s: Arc<dyn Storage>) {
    let mut dice = Dice(7);
    let mut archive = Vec::new();
    let mut micros = 1_000_000;
    for n in 0..150 {
        micros += dice.roll(3) as i64 * 1_000;
        let with = PEERS[dice.roll(PEERS.len())];
        let mine = holder(ROMEO, with, Way::Received, true, false);
        let other = holder(JULIET, ROMEO, Way::Sent, true, false);
        let id = keep(&s, message(micros, n, smallvec![mine, other])).await;
        let (at, with) = (at(micros), jid(with));
        archive.push(Stored { id, at, with, way: Way::Received, xml: body(n) });
    }
    for n in 0..400 {
        let any = |d: &mut Dice| archive[d.roll(archive.len())].clone();
        let mut query = Query { max: dice.roll(60), ..Query::default() };
        query.backwards = dice.roll(2) == 0;
        query.with = (dice.roll(2) == 0).then(|| jid(PEERS[dice.roll(PEERS.len())]));
        query.start = (dice.roll(3) == 0).then(|| any(&mut dice).at);
        query.end = (dice.roll(3) == 0).then(|| any(&mut dice).at);
        query.after = (dice.roll(3) == 0).then(|| any(&mut dice).id);
        query.before = (dice.roll(3) == 0).then(|| any(&mut dice).id);
        query.above = (dice.roll(3) == 0).then(|| any(&mut dice).id);
        query.below = (dice.roll(3) == 0).then(|| any(&mut dice).id);
        if dice.roll(5) == 0 {
            query.ids = Some((0..dice.roll(6)).map(|_| any(&mut dice).id).collect());
        }
        query.count = dice.roll(3) == 0;
        if dice.roll(4) == 0 {
            query.index = Some(dice.roll(40) as u64);
            (query.backwards, query.after, query.before) = (false, None, None);
        }
        let page = s.archive().page(&user(ROMEO), &query).await.unwrap().unwrap();
        let (rows, complete) = expected(&archive, &query);
        assert_eq!(page.rows, rows, "{n}: {query:?}");
        assert_eq!(page.complete, complete, "{n}: {query:?}");
        let whole = Query { after: None, before: None, index: None, max: 1_000, ..query.clone() };
        let found = expected(&archive, &whole).0;
        let first = rows.first().map(|r| r.id);
        let before = found.iter().filter(|r| first.is_none_or(|f| r.id < f)).count() as u64;
        let count = Count { total: found.len() as u64, before };
        assert_eq!(page.count, query.count.then_some(count), "{n}: {query:?}");
    }
}

pub(crate) async fn a_page_does_not_grow_without_bound(s: Arc<dyn Storage>) {
    let long = "x".repeat(200 << 10);
    for n in 1..=20 {
        keep(&s, letter(n, format!("{n} {long}"))).await;
    }
    for backwards in [false, true] {
        let query = Query { backwards, count: true, ..all() };
        let page = s.archive().page(&user(JULIET), &query).await.unwrap().unwrap();
        assert_eq!((page.rows.len(), page.complete), (6, false));
        let first = if backwards { 15 } else { 1 };
        let numbers: Vec<i64> = page.rows.iter().map(|row| row.id.get() >> 10).collect();
        assert_eq!(numbers, (first..first + 6).collect::<Vec<_>>());
        assert_eq!(page.count, Some(Count { total: 20, before: first as u64 - 1 }));
    }
}

pub(crate) async fn a_walk_by_pages_finds_each_message_once(s: Arc<dyn Storage>) {
    let mut kept = BTreeSet::new();
    for n in 1..=57 {
        kept.insert(keep(&s, letter(1, n)).await);
    }
    for backwards in [false, true] {
        let (mut seen, mut place) = (Vec::new(), None);
        loop {
            let mut query = Query { backwards, max: 10, ..Query::default() };
            if backwards {
                query.before = place
            } else {
                query.after = place
            }
            query.named = place.into_iter().collect();
            let page = s.archive().page(&user(JULIET), &query).await.unwrap().unwrap();
            let rows: Vec<MessageId> = page.rows.iter().map(|r| r.id).collect();
            place = if backwards { rows.first().copied() } else { rows.last().copied() };
            seen.extend(rows);
            if page.complete {
                break;
            }
        }
        assert_eq!(seen.len(), 57);
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), kept);
    }
}

pub(crate) async fn a_number_that_is_not_in_the_archive_is_told(s: Arc<dyn Storage>) {
    let id = keep(&s, letter(1, 1)).await;
    let foreign = keep(
        &s,
        message(2, 2, smallvec![holder("nurse@localhost", ROMEO, Way::Sent, true, false)]),
    )
    .await;
    let passing =
        keep(&s, message(3, 3, smallvec![holder(JULIET, ROMEO, Way::Received, false, true)])).await;
    let unknown = MessageId::new(99).unwrap();
    for named in [smallvec![id, foreign], smallvec![passing], smallvec![unknown]] {
        let query = Query { named, ..all() };
        assert_eq!(s.archive().page(&user(JULIET), &query).await.unwrap(), None, "{query:?}");
    }
    let query = Query { named: smallvec![id, id], ..all() };
    assert_eq!(ids(&s, JULIET, &query).await, [id]);
}

pub(crate) async fn an_archive_has_two_ends(s: Arc<dyn Storage>) {
    assert_eq!(s.archive().ends(&user(ROMEO)).await.unwrap(), None);
    let first = keep(&s, letter(1, 1)).await;
    let one = s.archive().ends(&user(ROMEO)).await.unwrap();
    assert_eq!(one, Some(((first, at(1)), (first, at(1)))));
    keep(&s, letter(2, 2)).await;
    let last = keep(&s, letter(3, 3)).await;
    let two = s.archive().ends(&user(ROMEO)).await.unwrap();
    assert_eq!(two, Some(((first, at(1)), (last, at(3)))));
    let owners = s.archive().owners(None, 9).await.unwrap();
    assert_eq!(owners, [user(JULIET), user(ROMEO)]);
    assert_eq!(s.archive().owners(Some(&user(JULIET)), 9).await.unwrap(), [user(ROMEO)]);
}

pub(crate) async fn the_oldest_messages_are_forgotten_first(s: Arc<dyn Storage>) {
    let mut kept = Vec::new();
    for n in 1..=1_200 {
        kept.push(s.archive().keep(letter(n, n)).await.unwrap());
    }
    let kept: Vec<MessageId> = join_all(kept.into_iter().map(|k| async move {
        k.receipt.await.unwrap();
        k.id
    }))
    .await;
    let forget = |owner, retention| {
        let s = Arc::clone(&s);
        async move {
            let mut forgotten = 0;
            loop {
                match s.archive().expire(&user(owner), retention).await.unwrap() {
                    0 => break forgotten,
                    some => forgotten += some,
                }
            }
        }
    };
    let old = Retention { before: Some(at(101)), keep: None };
    assert_eq!(forget("nobody@localhost", old).await, 0);
    assert_eq!(forget(ROMEO, Retention::default()).await, 0);
    assert_eq!(forget(ROMEO, old).await, 100);
    let few = Retention { before: Some(at(50)), keep: Some(20) };
    assert_eq!(forget(ROMEO, few).await, 1_080);
    assert_eq!(ids(&s, ROMEO, &all()).await, kept[1_180..]);
    // Juliet still has them all, and has not got them yet.
    assert_eq!(forget(JULIET, Retention { before: None, keep: Some(0) }).await, 1_200);
    assert_eq!(s.archive().ends(&user(JULIET)).await.unwrap(), None);
    let waiting = s.archive().waiting(&user(JULIET), None, 9_999).await.unwrap();
    assert_eq!(waiting.len(), 1_200);
    assert!(waiting.iter().all(|w| !w.archived) && waiting[0].xml == body(1));
    s.archive().delivered(&user(JULIET), &kept).await.unwrap();
    assert_eq!(s.archive().waiting_count(&user(JULIET)).await.unwrap(), 0);
    assert_eq!(rows(&s, ROMEO, &all()).await[0].xml, body(1_181));
}

pub(crate) async fn messages_are_found_by_their_words(s: Arc<dyn Storage>) {
    let texts = ["Wherefore art thou Romeo?", "Deny thy father, Romeo", "日本語 and Ünïcode"];
    let mut kept = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        let mut letter = letter(n as i64 + 1, text);
        letter.search = Some((*text).into());
        kept.push(keep(&s, letter).await);
    }
    let mut secret =
        message(9, "x", smallvec![holder("nurse@localhost", ROMEO, Way::Sent, true, false)]);
    secret.search = Some("Romeo sleeps".into());
    keep(&s, secret).await;
    keep(&s, letter(10, "Romeo, encrypted")).await;
    let find = |text: &str| {
        let query = Query { text: Some(text.into()), ..all() };
        let s = Arc::clone(&s);
        async move { ids(&s, JULIET, &query).await }
    };
    assert_eq!(find("romeo").await, kept[..2]);
    assert_eq!(find("ROMEO father").await, [kept[1]]);
    assert_eq!(find("本").await, [kept[2]]);
    assert_eq!(find("romeo sleeps").await, []);
    assert_eq!(find("wherefor").await, []);
    assert_eq!(find("!?").await, []);
    let newest = Query { text: Some("romeo".into()), backwards: true, max: 1, ..Query::default() };
    assert_eq!(ids(&s, JULIET, &newest).await, [kept[1]]);
    s.archive().expire(&user(JULIET), Retention { before: Some(at(2)), keep: None }).await.unwrap();
    assert_eq!(find("wherefore").await, []);
}

pub(crate) async fn no_search_is_an_error(s: Arc<dyn Storage>) {
    let mut letter = letter(1, "x");
    letter.search = Some("and or not near words holders o1 \" ' ; -- \u{0} *".into());
    keep(&s, letter).await;
    let pieces = [
        "\"",
        "'",
        "*",
        "^",
        "(",
        ")",
        ":",
        "-",
        "+",
        "{",
        "}",
        ",",
        " ",
        "\u{0}",
        "AND",
        "OR",
        "NOT",
        "NEAR",
        "NEAR(",
        "words",
        "holders",
        "o1",
        "$10",
        "\u{FFFF}",
        "\u{1F600}",
        "e\u{301}",
        "\u{903}",
        "日",
        "\\",
        "%",
        ";",
        "--",
        "\n",
    ];
    let mut dice = Dice(3);
    for _ in 0..500 {
        let text: String = (0..dice.roll(9)).map(|_| pieces[dice.roll(pieces.len())]).collect();
        let query = Query { text: Some(text.clone()), ..all() };
        let page = s.archive().page(&user(JULIET), &query).await;
        assert!(page.is_ok(), "{text:?}: {page:?}");
    }
    let long = Query { text: Some("word ".repeat(50_000)), ..all() };
    assert!(s.archive().page(&user(JULIET), &long).await.is_ok());
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
