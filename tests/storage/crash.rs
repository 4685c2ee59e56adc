//! What an upgrade, a crash or a full disk does to messages.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use sqlx::{Connection, SqliteConnection};
use waxwing::storage::{Handled, MessageId, Query, Retention, Storage, StorageError};

use crate::cases::{account, at, body, user};
use crate::file::open;
use crate::messages::letter;

const JULIET: &str = "juliet@localhost";

async fn all(s: &Arc<dyn Storage>) -> Vec<(MessageId, Bytes)> {
    let query = Query { max: 1_000_000, ..Query::default() };
    let mut all = Vec::new();
    loop {
        let after = all.last().map(|(id, _)| *id);
        let query = Query { after, ..query.clone() };
        let page = s.archive().page(&user(JULIET), &query).await.unwrap().unwrap();
        all.extend(page.rows.into_iter().map(|row| (row.id, row.xml)));
        if page.complete {
            return all;
        }
    }
}

#[tokio::test]
async fn an_upgrade_loses_no_message_that_waits() {
    let dir = tempfile::tempdir().unwrap();
    old_database(dir.path()).await;
    let storage: Arc<dyn Storage> = open(dir.path()).await.unwrap();
    let waiting = storage.archive().waiting(&user(JULIET), None, 9).await.unwrap();
    let shown: Vec<_> = waiting.iter().map(|w| (w.id.get(), w.archived, w.xml.clone())).collect();
    assert_eq!(shown, [(3, false, body("old 3")), (4, false, body("old 4"))]);
    assert_eq!(storage.archive().waiting_count(&user(JULIET)).await.unwrap(), 2);
    let kept = storage.archive().keep(letter(1_000, "new")).await.unwrap();
    kept.receipt.await.unwrap();
    let all: Vec<MessageId> = waiting.iter().map(|w| w.id).chain([kept.id]).collect();
    assert!(all.is_sorted());
    storage.archive().delivered(&user(JULIET), &all).await.unwrap();
    assert_eq!(storage.archive().waiting_count(&user(JULIET)).await.unwrap(), 0);
    storage.close().await;
    let (bodies,) = one(dir.path(), "SELECT count(*) FROM message").await;
    assert_eq!(bodies, 1, "what was delivered and is in no archive is gone");
}

/// What has changed before the upgrade is not known, and is not made up.
#[tokio::test]
async fn an_upgrade_keeps_rosters_and_knows_what_changes_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    old_database(dir.path()).await;
    let storage: Arc<dyn Storage> = open(dir.path()).await.unwrap();
    let juliet = user(JULIET);
    let (version, items) = storage.roster().load(&juliet).await.unwrap();
    assert_eq!((version, items.len()), (4_294_967_300, 1));
    assert_eq!(storage.roster().changes(&juliet, version - 1, 9).await.unwrap().1, None);
    assert_eq!(storage.roster().changes(&juliet, version, 9).await.unwrap().1, Some(vec![]));
    storage.roster().remove(&juliet, &items[0].jid).await.unwrap();
    let (_, changes) = storage.roster().changes(&juliet, version, 9).await.unwrap();
    let gone: Vec<_> = changes.unwrap().into_iter().map(|c| (c.jid, c.item)).collect();
    assert_eq!(gone, [(items[0].jid.clone(), None)]);
    storage.close().await;
}

/// Rows of archives that came before there were segments.
#[tokio::test]
async fn an_upgrade_keeps_archives() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "INSERT INTO owner (number, jid, domain) VALUES (2, 'romeo@localhost', 'localhost');
        INSERT INTO archive VALUES (1, 3, 'romeo@localhost/orchard', 0), (1, 4, 'romeo@localhost', 0),
            (2, 3, 'juliet@localhost', 1), (2, 4, 'juliet@localhost', 1);
        UPDATE waiting SET alone = 0; UPDATE message SET holders = 2;";
    old_database_of(dir.path(), 4, rows).await;
    for restarts in 0..3 {
        let storage: Arc<dyn Storage> = open(dir.path()).await.unwrap();
        let kept = storage.archive().keep(letter(1_000, restarts)).await.unwrap();
        kept.receipt.await.unwrap();
        let found: Vec<_> = all(&storage).await.into_iter().map(|(_, xml)| xml).collect();
        let mut expected = vec![body("old 3"), body("old 4")];
        expected.extend((0..=restarts).map(body));
        assert_eq!(found, expected);
        storage.close().await;
    }
    let storage: Arc<dyn Storage> = open(dir.path()).await.unwrap();
    let oldest = Retention { before: Some(at(100)), keep: None };
    assert_eq!(storage.archive().expire(&user(JULIET), oldest).await.unwrap(), 2);
    assert_eq!(all(&storage).await.len(), 3);
    let (first, _) = storage.archive().ends(&user("romeo@localhost")).await.unwrap().unwrap();
    assert_eq!(first.0.get(), 3);
    storage.close().await;
    let (bodies,) = one(dir.path(), "SELECT count(*) FROM message").await;
    assert_eq!(bodies, 5, "the other side has them still");
}

/// Ids of messages and numbers of sessions that have no node in them stay as they are.
#[tokio::test]
async fn an_upgrade_keeps_ids_without_a_node_and_finds_them_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "INSERT INTO message (id, at, xml, holders) VALUES
            (2000, 2000, CAST('<message><body>first</body></message>' AS BLOB), 1),
            (3000, 2900, CAST('<message><body>second</body></message>' AS BLOB), 1);
        INSERT INTO archive_row VALUES (0, 1, 2000, 'romeo@localhost', 0, 1),
            (0, 1, 3000, 'romeo@localhost', 0, 1);
        INSERT INTO archive_segment VALUES (0, 1, 2000, 0, NULL);
        INSERT INTO resumable (number, owner, resource, key, ended, state)
            VALUES (7, 1, 'orchard', 'old', NULL, x'01');";
    old_database_of(dir.path(), 8, rows).await;
    // The clock is behind the existing ids, as after a battery was changed.
    for (restart, micros) in [(0, 2_950), (1, 9_000_000_000)] {
        let storage: Arc<dyn Storage> = open(dir.path()).await.unwrap();
        let kept = storage.archive().keep(letter(micros, micros)).await.unwrap();
        kept.receipt.await.unwrap();
        assert!(kept.id.get() >> 10 > 3_000, "{:?} is not above what was there", kept.id);
        assert!(storage.archive().horizon() >= Some(kept.id));
        let found = all(&storage).await;
        let ids: Vec<i64> = found.iter().map(|(id, _)| id.get()).collect();
        assert_eq!(ids[..2], [2_000, 3_000]);
        assert_eq!((found.len(), found.last().unwrap().0), (3 + restart, kept.id));
        storage.close().await;
    }
    let storage: Arc<dyn Storage> = open(dir.path()).await.unwrap();
    let count = async |start: i64, end: i64| {
        let query = Query {
            start: Some(at(start)),
            end: Some(at(end)),
            max: 9,
            count: true,
            ..Query::default()
        };
        let page = storage.archive().page(&user(JULIET), &query).await.unwrap().unwrap();
        assert_eq!(page.rows.len() as u64, page.count.unwrap().total);
        page.rows.len()
    };
    assert_eq!(count(0, 1_999).await, 0);
    assert_eq!(count(2_000, 2_000).await, 1);
    assert_eq!(count(2_001, 2_949).await, 1);
    assert_eq!(count(2_001, 2_950).await, 2);
    assert_eq!(count(2_950, i64::MAX).await, 2);
    assert_eq!(count(2_951, i64::MAX).await, 1);
    assert_eq!(count(i64::MIN, i64::MAX).await, 4);
    let sessions = storage.resumption();
    let old = sessions.all().await.unwrap();
    assert_eq!(old.iter().map(|session| &*session.key).collect::<Vec<_>>(), ["old"]);
    let (number, begun) = sessions.begin(&user(JULIET), "balcony", "new").await.unwrap();
    begun.await.unwrap();
    assert!(number > old[0].number);
    let oldest = Retention { before: Some(at(2_500)), keep: None };
    assert_eq!(storage.archive().expire(&user(JULIET), oldest).await.unwrap(), 1);
    assert_eq!(all(&storage).await[0].0.get(), 3_000);
    storage.close().await;
}

/// As the first step of the schema made it, with messages that wait and a contact.
async fn old_database(dir: &Path) {
    old_database_of(dir, 1, "").await;
}

/// As the first steps of the schema made it, and these rows.
async fn old_database_of(dir: &Path, steps: usize, rows: &str) {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/sqlite");
    let mut files: Vec<_> =
        std::fs::read_dir(schema).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut files = files.iter().take(steps).map(|file| std::fs::read_to_string(file).unwrap());
    let storage = open(dir).await.unwrap();
    storage.close().await;
    let mut raw = raw(dir).await;
    let tables: Vec<(String, String)> = sqlx::query_as(
        "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'index', 'view') \
         AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '_sqlx_%' \
         AND sql IS NOT NULL ORDER BY type",
    )
    .fetch_all(&mut raw)
    .await
    .unwrap();
    let mut script = String::from("PRAGMA foreign_keys = off;");
    for (kind, name) in tables {
        script.push_str(&format!("DROP {kind} IF EXISTS {name};"));
    }
    script.push_str(&files.next().unwrap());
    script.push_str(&format!("DELETE FROM _sqlx_migrations WHERE version > {steps};"));
    script.push_str(
        "DELETE FROM sqlite_sequence;
         INSERT INTO owner (number, jid, domain) VALUES (1, 'juliet@localhost', 'localhost');
         INSERT INTO message VALUES
            (3, 30, CAST('<message><body>old 3</body></message>' AS BLOB)),
            (4, 40, CAST('<message><body>old 4</body></message>' AS BLOB));
         INSERT INTO waiting VALUES (1, 3), (1, 4);
         INSERT INTO roster VALUES (1, 4294967300);
         INSERT INTO roster_item VALUES (1, 'romeo@localhost', 'R', '[]', 3, 0, NULL, 0, 1);",
    );
    script.extend(files);
    script.push_str(rows);
    sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
}

async fn raw(dir: &Path) -> SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.join("waxwing.sqlite"));
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn one(dir: &Path, question: &'static str) -> (i64,) {
    let mut raw = raw(dir).await;
    let answer = sqlx::query_as(question).fetch_one(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    answer
}

/// Not run on its own: [`a_killed_process_keeps_what_it_promised`] runs it, in a separate process.
/// Prints each number whose receipt has resolved, until it is killed.
#[tokio::test]
#[ignore = "runs until it is killed"]
#[expect(clippy::print_stdout, reason = "what it promised must outlive it")]
async fn until_killed() {
    let dir = std::env::var("WAXWING_TEST_DIR").unwrap();
    let storage: Arc<dyn Storage> = open(Path::new(&dir)).await.unwrap();
    let (session, _receipt) =
        storage.resumption().begin(&user("romeo@localhost"), "orchard", "key").await.unwrap();
    let sender = |n: i64| {
        let storage = Arc::clone(&storage);
        async move {
            for m in 0.. {
                let mut letter = letter(m, format!("{n} {m}"));
                if n == 0 {
                    letter.handled = Some(Handled { session, count: m as u32 + 1 });
                }
                let kept = storage.archive().keep(letter).await.unwrap();
                kept.receipt.await.unwrap();
                // One line is one write, so that it is said wholly or not at all.
                println!("kept {} {n} {m}", kept.id.get());
            }
        }
    };
    join_all((0..32).map(sender)).await;
}

#[tokio::test]
async fn a_killed_process_keeps_what_it_promised() {
    for lines in [1, 300, 1_500] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "crash::until_killed"])
            .env("WAXWING_TEST_DIR", dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut promised = Vec::new();
        let said = BufReader::new(child.stdout.take().unwrap());
        for line in said.lines().map_while(Result::ok) {
            let Some(at) = line.find("kept ") else { continue };
            promised.push(line[at + 5..].to_owned());
            if promised.len() == lines {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(promised.len() >= lines);
        let storage: Arc<dyn Storage> = open(dir.path()).await.unwrap();
        let kept = all(&storage).await;
        let waiting = storage.archive().waiting(&user(JULIET), None, 1_000_000).await.unwrap();
        let waiting: Vec<_> = waiting.into_iter().map(|w| (w.id, w.xml)).collect();
        assert_eq!(waiting, kept, "markers and archive are one transaction");
        let kept: BTreeSet<(i64, Bytes)> =
            kept.into_iter().map(|(id, xml)| (id.get(), xml)).collect();
        let mut last_of_first = 0;
        for line in promised {
            let (id, text) = line.split_once(' ').unwrap();
            if let Some(m) = text.strip_prefix("0 ") {
                last_of_first = m.parse::<u32>().unwrap() + 1;
            }
            assert!(kept.contains(&(id.parse().unwrap(), body(text))), "{line} is lost");
        }
        // The count goes with the messages: what it says is there, and no more.
        let handled = storage.resumption().find("key").await.unwrap().unwrap().handled;
        let of_first = kept.iter().filter(|(_, xml)| xml.starts_with(b"<message><body>0 ")).count();
        assert!(handled >= last_of_first);
        assert_eq!(handled as usize, of_first);
        storage.close().await;
    }
}

/// Not run on its own: [`a_full_disk_keeps_nothing_by_halves`] runs it, with a limit on files.
#[tokio::test]
#[ignore = "needs a limit on the size of files"]
async fn with_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = open(dir.path()).await.unwrap();
    let mut promised = Vec::new();
    let mut failures = 0;
    for n in 0..300 {
        let letters = (0..4).map(|m| letter(n, format!("{n} {m} {}", "x".repeat(5_000))));
        let kept = join_all(letters.map(|l| storage.archive().keep(l))).await;
        for kept in kept {
            let kept = kept.unwrap();
            match kept.receipt.await {
                Ok(()) => promised.push(kept.id),
                Err(StorageError::Full(_)) => failures += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    assert!(failures > 0 && !promised.is_empty(), "{failures} of {}", promised.len());
    check(&storage, &promised).await;
    storage.close().await;
    let storage: Arc<dyn Storage> = open(dir.path()).await.unwrap();
    check(&storage, &promised).await;
    storage.close().await;
    let halves = "SELECT count(*) FROM message m WHERE holders <> \
        (SELECT count(*) FROM archive a WHERE a.id = m.id)";
    assert_eq!(one(dir.path(), halves).await, (0,));
}

async fn check(storage: &Arc<dyn Storage>, promised: &[MessageId]) {
    let kept: Vec<MessageId> = all(storage).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(kept, promised);
    let waiting = storage.archive().waiting(&user(JULIET), None, 9_999).await.unwrap();
    assert_eq!(waiting.iter().map(|w| w.id).collect::<Vec<_>>(), promised);
}

#[test]
fn a_full_disk_keeps_nothing_by_halves() {
    // 1 MiB, in blocks of 512 bytes; without the trap the signal would end the process.
    let done = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$0\" --exact --ignored \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg("crash::with_a_full_disk")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn numbers_go_on_after_a_restart_though_all_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = open(dir.path()).await.unwrap();
    let mut letter = letter(5_000_000, "x");
    letter.holders[0].archive = false;
    letter.holders[1].archive = false;
    let kept = storage.archive().keep(letter.clone()).await.unwrap();
    kept.receipt.await.unwrap();
    storage.archive().delivered(&user(JULIET), &[kept.id]).await.unwrap();
    let (first, _receipt) = storage.resumption().begin(&user(JULIET), "a", "k").await.unwrap();
    let noted = Handled { session: first, count: 9 };
    storage.resumption().handled(noted).await.unwrap().await.unwrap();
    storage.close().await;
    assert_eq!(one(dir.path(), "SELECT count(*) FROM message").await, (0,));

    let storage: Arc<dyn Storage> = open(dir.path()).await.unwrap();
    letter.at = at(1);
    let next = storage.archive().keep(letter).await.unwrap();
    assert!(next.id > kept.id);
    let (second, _receipt) = storage.resumption().begin(&user(JULIET), "b", "l").await.unwrap();
    assert!(second > first);
    let found = storage.resumption().find("k").await.unwrap().unwrap();
    assert_eq!(found.handled, 9);
    storage.close().await;
}

#[tokio::test]
async fn counts_without_a_session_are_forgotten_by_the_next_server() {
    let dir = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = open(dir.path()).await.unwrap();
    storage.accounts().create(&[account("romeo@localhost")]).await.unwrap();
    let mut numbers = Vec::new();
    for (owner, key) in [("romeo@localhost", "his"), (JULIET, "hers")] {
        let begun = storage.resumption().begin(&user(owner), "orchard", key).await.unwrap();
        begun.1.await.unwrap();
        numbers.push(begun.0);
    }
    storage.accounts().remove(&user("romeo@localhost")).await.unwrap();
    for session in numbers {
        let late = Handled { session, count: 7 };
        storage.resumption().handled(late).await.unwrap().await.unwrap();
    }
    storage.close().await;
    let storage: Arc<dyn Storage> = open(dir.path()).await.unwrap();
    storage.resumption().begin_anew(at(5)).await.unwrap();
    let hers = storage.resumption().find("hers").await.unwrap().unwrap();
    assert_eq!((hers.handled, hers.ended), (7, Some(at(5))));
    storage.close().await;
    assert_eq!(one(dir.path(), "SELECT count(*) FROM handled").await, (1,));
}
