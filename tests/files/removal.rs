//! What is removed from the disk, and when.

use std::fs;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::house::{House, PATIENCE, Slot, answer};

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

/// A slot that ends counts for what was sent, and so does one that is given up.
#[tokio::test]
async fn what_was_not_sent_does_not_count_for_the_day() {
    let house = House::new("").await;
    begun(&house).await;
    house.slot("b.jpg", b"hello", None).await;
    let file = house.file("c.jpg", b"hello", None).await;
    let given_up = begun(&house).await;
    assert_eq!(house.day().await, 20);
    assert_eq!(house.ask("DELETE", &given_up.put, "", b"").await.status, 204);
    assert_eq!(house.day().await, 16);
    house.clock.advance(Duration::from_secs(301));
    house.sweep().await;
    assert_eq!(house.day().await, 7);
    assert!(house.remove(&file).await);
    assert_eq!(house.day().await, 7, "it was sent");
    house.close().await;
}

/// However long an upload takes: as long as it makes progress, its slot stays.
#[tokio::test]
async fn a_long_upload_is_not_removed_while_it_is_written() {
    let house = House::new("files.resume = \"1 h\"\n").await;
    let content = vec![7; 1 << 20];
    let slot = house.slot("a.bin", &content, None).await;
    let mut io = house.connect();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        slot.put,
        content.len()
    );
    io.write_all(head.as_bytes()).await.unwrap();
    let mut sent = 0;
    for end in [300 << 10, 600 << 10, 900 << 10] {
        io.write_all(&content[sent..end]).await.unwrap();
        sent = end;
        let written = async {
            while house.partial_bytes() + (256 << 10) < sent as u64 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, written).await.unwrap();
        house.clock.advance(Duration::from_secs(40 * 60));
        house.sweep().await;
    }
    io.write_all(&content[sent..]).await.unwrap();
    assert_eq!(answer(&mut io).await.status, 201);
    assert!(house.get(&slot, "").await.body == content);
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
