//! What is removed from the disk, and when.

use std::fs;
use std::time::Duration;

use crate::house::{House, Slot};

/// A slot of which one byte has come.
async fn begun(house: &House) -> Slot {
    let slot = house.slot("a.jpg", b"hello", None).await;
    assert_eq!(house.put(&slot, b"h", "Upload-Complete: ?0\r\n").await.status, 204);
    slot
}

#[tokio::test]
async fn what_was_uploaded_goes_with_its_slot() {
    let house = House::new("").await;
    let (removed, expired) = (begun(&house).await, begun(&house).await);
    assert!(house.remove(&removed).await);
    house.sweep().await;
    assert_eq!(house.partial(), 1, "the slot of the other one is valid");
    house.clock.advance(Duration::from_secs(301));
    house.sweep().await;
    assert_eq!(house.partial(), 0);
    assert_eq!(house.put(&expired, b"hello", "").await.status, 404);
    house.close().await;
}

#[tokio::test]
async fn one_that_is_being_written_is_stopped_then() {
    let house = House::new("").await;
    let slot = house.slot("a.jpg", b"hello", None).await;
    let turn = house.uploads().turns.take(slot.id).await.unwrap();
    let stopped = turn.stopped();
    let mut writing = house.uploads().contents.write(slot.id, 0, turn).await.unwrap();
    writing.write("hel".into()).await.unwrap();
    assert!(house.remove(&slot).await);
    let writer = async {
        stopped.cancelled().await;
        drop(writing);
    };
    tokio::join!(house.sweep(), writer);
    assert_eq!(house.partial(), 0);
    house.close().await;
}

#[tokio::test]
async fn uploads_of_before_the_start_are_gone_when_the_server_listens() {
    let data = tempfile::tempdir().unwrap();
    let partial = data.path().join("files/partial");
    fs::create_dir_all(&partial).unwrap();
    fs::write(partial.join("00112233445566778899aabbccddeeff"), "hel").unwrap();
    let house = House::with("", "", data).await;
    assert_eq!(house.partial(), 0);
    house.close().await;
}

#[tokio::test]
async fn a_content_that_cannot_be_removed_blocks_no_other() {
    let house = House::new("").await;
    let contents = [b"hello", b"howdy", b"salve"];
    for content in contents {
        let slot = house.file("a.jpg", content, None).await;
        assert!(house.remove(&slot).await);
    }
    // A directory is not removed as a file is.
    let stuck = contents.map(|content| house.content(content)).into_iter().min().unwrap();
    fs::remove_file(&stuck).unwrap();
    fs::create_dir(&stuck).unwrap();
    house.sweep().await;
    assert_eq!(house.contents(), 0);
    fs::remove_dir(&stuck).unwrap();
    house.sweep().await;
    assert_eq!(house.server.state().storage.files().totals().await.unwrap().contents, 0);
    house.close().await;
}
