use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use smallvec::smallvec;

use super::super::block_counts::BLOCK;
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::storage::{Holder, MessageId, NewMessage, Query, SqliteStorage, Storage, Way};
use crate::tasks::Tasks;

fn user(name: &str) -> BareJid {
    BareJid::from_parts(Some(name), "localhost").unwrap()
}

/// One reader: everybody reads by the same connection.
async fn open(dir: &std::path::Path) -> Arc<SqliteStorage> {
    SqliteStorage::open(&dir.join("waxwing.sqlite"), 1, &Tasks::new()).await.unwrap()
}

/// Puts so many messages into an archive, from Romeo but for three from the nurse, who says
/// something else.
async fn fill(storage: &SqliteStorage, owner: &BareJid, count: i64) {
    let rare = [count / 10, count / 2, count - count / 10];
    for n in 1..=count {
        let is_rare = rare.contains(&n);
        let with = if is_rare { "nurse@localhost/n" } else { "romeo@localhost/r" };
        let text = if is_rare { "goose" } else { "love" };
        let message = NewMessage {
            at: Timestamp::from_micros(n * 10_000_000),
            xml: format!("<message xmlns='jabber:client' id='{n}'><body>{text}</body></message>")
                .into(),
            holders: smallvec![Holder {
                owner: owner.clone(),
                with: Jid::parse(with).unwrap(),
                way: Way::Received,
                archive: true,
                waiting: false,
                limit: None,
            }],
            handled: None,
        };
        let kept = storage.archive().keep(message).await.unwrap();
        if n % 500 == 0 {
            kept.receipt.await.unwrap();
        }
    }
}

/// Counts steps of SQLite's machine, in tens.
async fn count_steps(storage: &SqliteStorage) -> Arc<AtomicU64> {
    let steps = Arc::new(AtomicU64::new(0));
    let mut connection = storage.database.readers.acquire().await.unwrap();
    let counter = Arc::clone(&steps);
    connection.lock_handle().await.unwrap().set_progress_handler(10, move || {
        counter.fetch_add(1, Ordering::Relaxed);
        true
    });
    steps
}

fn questions(count: i64) -> Vec<(&'static str, Query)> {
    let all = || Query { max: 20, ..Query::default() };
    let at = |n: i64| Timestamp::from_micros(n * 10_000_000);
    let id = |n: i64| MessageId::new((n * 10_000_000) << 10);
    let nurse = Some(Jid::parse("nurse@localhost").unwrap());
    let middle = (count / 2, count / 2 + 30);
    vec![
        ("the first", all()),
        ("the last", Query { backwards: true, ..all() }),
        ("behind an id", Query { after: id(middle.0), ..all() }),
        ("in a time", Query { start: Some(at(middle.0)), end: Some(at(middle.1)), ..all() }),
        ("rare", Query { with: nurse.clone(), ..all() }),
        ("rare, from the end", Query { with: nurse.clone(), backwards: true, ..all() }),
        ("of a device", Query { with: Some(Jid::parse("nurse@localhost/n").unwrap()), ..all() }),
        (
            "rare, in a time",
            Query {
                with: nurse.clone(),
                start: Some(at(middle.0)),
                end: Some(at(middle.1)),
                ..all()
            },
        ),
        ("from nobody", Query { with: Some(Jid::parse("tybalt@localhost").unwrap()), ..all() }),
        ("a word", Query { text: Some("goose".into()), ..all() }),
        ("ids", Query { ids: Some(id(1).into_iter().chain(id(count)).collect()), ..all() }),
        ("how many of the rare", Query { with: nurse, max: 0, count: true, ..all() }),
        ("how many", Query { max: 0, count: true, ..all() }),
        ("at a position", Query { index: Some(count as u64 - 50), count: true, ..all() }),
    ]
}

#[tokio::test]
async fn a_page_costs_what_it_returns_and_not_what_there_is() {
    let mut costs: Vec<Vec<u64>> = Vec::new();
    for count in [1_000, 8_000] {
        let dir = tempfile::tempdir().unwrap();
        let storage = open(dir.path()).await;
        let juliet = user("juliet");
        fill(&storage, &juliet, count).await;
        let steps = count_steps(&storage).await;
        let archive = storage.archive();
        let of_nobody = Query { with: Some(user("x").into_jid()), ..Query::default() };
        archive.page(&juliet, &of_nobody).await.unwrap();
        let mut of_this = Vec::new();
        for (_, query) in questions(count) {
            let before = steps.load(Ordering::Relaxed);
            archive.page(&juliet, &query).await.unwrap().unwrap();
            of_this.push(steps.load(Ordering::Relaxed) - before);
        }
        costs.push(of_this);
        storage.close().await;
    }
    let blocks = 8_000 / BLOCK as u64;
    for (n, (name, query)) in questions(8_000).into_iter().enumerate() {
        let (few, many) = (costs[0][n], costs[1][n]);
        let is_counted = query.count && query.with.is_none();
        // To count all, blocks are added up; words are looked for in all messages; else eight times as much costs no more.
        let most = match (is_counted, &query.text) {
            (true, _) => 16 * blocks,
            (false, Some(_)) => 12 * few,
            (false, None) => 2 * few + 10,
        };
        assert!(many <= most, "{name}: {few} and {many} times ten steps");
    }
}

#[tokio::test]
async fn an_account_that_asks_without_end_does_not_stand_before_others() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path()).await;
    let (many, one) = (user("many"), user("one"));
    fill(&storage, &many, 2_000).await;
    fill(&storage, &one, 100).await;
    let archive = storage.archive();
    let (stop, turns) = (AtomicU64::new(0), &storage.database.turns);
    let many = &many;
    let session = |n: usize| {
        let stop = &stop;
        async move {
            let questions = questions(2_000);
            for (_, query) in questions.iter().cycle().skip(n) {
                archive.page(many, query).await.unwrap().unwrap();
                if stop.load(Ordering::Relaxed) > 0 {
                    break;
                }
            }
        }
    };
    let page = async {
        let mut most = 0;
        for _ in 0..50 {
            let before = turns.given().len();
            let query = Query { max: 20, ..Query::default() };
            assert_eq!(archive.page(&one, &query).await.unwrap().unwrap().rows.len(), 20);
            most = most.max(turns.given().len() - before);
        }
        stop.store(1, Ordering::Relaxed);
        most
    };
    let sessions = join_all((0..20).map(session));
    let (most, _) = futures_util::join!(page, sessions);
    // Its own has two statements; between them, and before, the others have one.
    assert!(most <= 6, "{most} turns for one page");
    storage.close().await;
}
