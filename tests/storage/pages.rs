//! Pages of an archive, searches in it, and what it forgets.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use smallvec::smallvec;
use waxwing::storage::{Count, MessageId, Query, Retention, Storage, Stored, Way};

use crate::cases::{at, body, user};
use crate::messages::{JULIET, ROMEO, all, holder, ids, jid, keep, letter, message, rows};

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
        kept.push(keep(&s, letter(n as i64 + 1, text)).await);
    }
    let nurse = smallvec![holder("nurse@localhost", ROMEO, Way::Sent, true, false)];
    keep(&s, message(9, "Romeo sleeps", nurse)).await;
    let encrypted = "Romeo</body><encryption xmlns='urn:xmpp:eme:0'/><body>";
    keep(&s, letter(10, encrypted)).await;
    let find = |text: &str| {
        let query = Query { text: Some(text.into()), ..all() };
        let s = Arc::clone(&s);
        async move { ids(&s, JULIET, &query).await }
    };
    assert_eq!(find("romeo").await, kept[..2]);
    assert_eq!(find("ROMEO father").await, [kept[1]]);
    assert_eq!(find("本").await, [kept[2]]);
    assert_eq!(find("unicode").await, [kept[2]]);
    assert_eq!(find("romeo sleeps").await, []);
    // However its letters are written.
    let friar = keep(&s, letter(11, "&#70;riar LAURENCE")).await;
    let other = keep(&s, letter(12, "Ｆriar Laurence")).await;
    assert_eq!(find("friar").await, [friar, other]);
    assert_eq!(find("laurence Friar").await, [friar, other]);
    assert_eq!(find("wherefor").await, []);
    assert_eq!(find("!?").await, []);
    let newest = Query { text: Some("romeo".into()), backwards: true, max: 1, ..Query::default() };
    assert_eq!(ids(&s, JULIET, &newest).await, [kept[1]]);
    s.archive().expire(&user(JULIET), Retention { before: Some(at(2)), keep: None }).await.unwrap();
    assert_eq!(find("wherefore").await, []);
}

pub(crate) async fn no_search_is_an_error(s: Arc<dyn Storage>) {
    keep(&s, letter(1, "and or not near \" ' ; -- * %")).await;
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
