//! A database that another process holds, and a disk without room.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, SqliteConnection};
use tokio::time::Instant;
use waxwing::storage::{Storage, StorageError};

use crate::cases::user;
use crate::file::{open, raw, refusal};
use crate::messages::letter;

/// As a hand in the database does: nobody else can write until it ends.
async fn hold(dir: &Path) -> SqliteConnection {
    let mut other = raw(dir).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    other
}

async fn waiting(storage: &Arc<dyn Storage>) -> usize {
    let waiting = storage.archive().waiting(&user("juliet@localhost"), None, 9).await.unwrap();
    waiting.len()
}

/// The file is locked for longer than SQLite waits in one attempt, which is a second. No caller gets an error.
#[tokio::test]
async fn a_locked_file_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = open(dir.path()).await.unwrap();
    let mut other = hold(dir.path()).await;
    let kept = storage.archive().keep(letter(1, "one")).await.unwrap();
    let release = async {
        // Another one that waits three times as long gives up first.
        let mut third = raw(dir.path()).await;
        sqlx::query("PRAGMA busy_timeout = 3000").execute(&mut third).await.unwrap();
        let refused = sqlx::query("BEGIN IMMEDIATE").execute(&mut third).await.unwrap_err();
        assert!(refused.to_string().contains("locked"), "{refused}");
        third.close().await.unwrap();
        sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    };
    let (receipt, ()) = tokio::join!(kept.receipt, release);
    receipt.unwrap();
    assert_eq!(waiting(&storage).await, 1);
    other.close().await.unwrap();
    storage.close().await;
}

#[tokio::test]
async fn the_end_does_not_wait_long_for_a_locked_file() {
    let dir = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = open(dir.path()).await.unwrap();
    let other = hold(dir.path()).await;
    let kept = storage.archive().keep(letter(1, "one")).await.unwrap();
    let begun = Instant::now();
    storage.close().await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let receipt = kept.receipt.await;
    assert!(matches!(receipt, Err(StorageError::Busy(_))), "it is not promised: {receipt:?}");
    other.close().await.unwrap();
    let storage: Arc<dyn Storage> = open(dir.path()).await.unwrap();
    assert_eq!(waiting(&storage).await, 0);
    storage.close().await;
}

/// Not run on its own: [`a_disk_without_room_is_told_at_opening`] runs it, with a limit on files.
#[tokio::test]
#[ignore = "needs a limit on the size of files"]
async fn without_room() {
    let dir = tempfile::tempdir().unwrap();
    let sentence = refusal(dir.path()).await;
    assert!(sentence.contains("a file may not grow"), "{sentence}");
    assert!(!dir.path().join("waxwing.sqlite-probe").exists());
}

/// The first thing to grow is the index of the log, for which SQLite has an error of its own (4874).
#[test]
fn a_disk_without_room_is_told_at_opening() {
    // 16 KiB, in blocks of 512 bytes; without the trap the signal would end the process.
    let done = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 32; exec \"$0\" --exact --ignored \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg("busy::without_room")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}
