//! What is removed from the disk, and when.

use std::fs;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::test_server::{PATIENCE, Slot, TestServer, answer};

/// A slot of which one byte has come.
async fn begun(server: &TestServer) -> Slot {
    let slot = server.slot("a.jpg", b"hello", None).await;
    assert_eq!(server.put(&slot, b"h", "Upload-Complete: ?0\r\n").await.status, 204);
    slot
}

#[tokio::test]
async fn what_was_uploaded_goes_with_its_slot() {
    let server = TestServer::new("").await;
    let (removed, expired) = (begun(&server).await, begun(&server).await);
    assert!(server.remove(&removed).await);
    server.sweep().await;
    assert_eq!(server.partial(), 1, "the slot of the other one is valid");
    server.clock.advance(Duration::from_secs(301));
    server.sweep().await;
    assert_eq!(server.partial(), 0);
    assert_eq!(server.put(&expired, b"hello", "").await.status, 404);
    server.close().await;
}

/// A slot that ends counts for what was sent, and so does one that is given up.
#[tokio::test]
async fn what_was_not_sent_does_not_count_for_the_day() {
    let server = TestServer::new("").await;
    begun(&server).await;
    server.slot("b.jpg", b"hello", None).await;
    let file = server.file("c.jpg", b"hello", None).await;
    let given_up = begun(&server).await;
    assert_eq!(server.day().await, 20);
    assert_eq!(server.ask("DELETE", &given_up.put, "", b"").await.status, 204);
    assert_eq!(server.day().await, 16);
    server.clock.advance(Duration::from_secs(301));
    server.sweep().await;
    assert_eq!(server.day().await, 7);
    assert!(server.remove(&file).await);
    assert_eq!(server.day().await, 7, "it was sent");
    server.close().await;
}

/// However long an upload takes: as long as it makes progress, its slot stays.
#[tokio::test]
async fn a_long_upload_is_not_removed_while_it_is_written() {
    let server = TestServer::new("files.resume = \"1 h\"\n").await;
    let content = vec![7; 1 << 20];
    let slot = server.slot("a.bin", &content, None).await;
    let mut io = server.connect();
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
            while server.partial_bytes() + (256 << 10) < sent as u64 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, written).await.unwrap();
        server.clock.advance(Duration::from_secs(40 * 60));
        server.sweep().await;
    }
    io.write_all(&content[sent..]).await.unwrap();
    assert_eq!(answer(&mut io).await.status, 201);
    assert!(server.get(&slot, "").await.body == content);
    server.close().await;
}

#[tokio::test]
async fn one_that_is_being_written_is_stopped_then() {
    let server = TestServer::new("").await;
    let slot = server.slot("a.jpg", b"hello", None).await;
    let turn = server.uploads().turns.take(slot.id).await.unwrap();
    let stopped = turn.stopped();
    let mut writing = server.uploads().contents.write(slot.id, 0, turn).await.unwrap();
    writing.write("hel".into()).await.unwrap();
    assert!(server.remove(&slot).await);
    let writer = async {
        stopped.cancelled().await;
        drop(writing);
    };
    tokio::join!(server.sweep(), writer);
    assert_eq!(server.partial(), 0);
    server.close().await;
}

#[tokio::test]
async fn uploads_of_before_the_start_are_gone_when_the_server_listens() {
    let data = tempfile::tempdir().unwrap();
    let partial = data.path().join("files/partial");
    fs::create_dir_all(&partial).unwrap();
    fs::write(partial.join("00112233445566778899aabbccddeeff"), "hel").unwrap();
    let server = TestServer::with("", "", data).await;
    assert_eq!(server.partial(), 0);
    server.close().await;
}

#[tokio::test]
async fn a_content_that_cannot_be_removed_blocks_no_other() {
    let server = TestServer::new("").await;
    let contents = [b"hello", b"howdy", b"salve"];
    for content in contents {
        let slot = server.file("a.jpg", content, None).await;
        assert!(server.remove(&slot).await);
    }
    // A directory is not removed as a file is.
    let stuck = contents.map(|content| server.content(content)).into_iter().min().unwrap();
    fs::remove_file(&stuck).unwrap();
    fs::create_dir(&stuck).unwrap();
    server.sweep().await;
    assert_eq!(server.contents(), 0);
    fs::remove_dir(&stuck).unwrap();
    server.sweep().await;
    assert_eq!(server.server.state().storage.files().totals().await.unwrap().contents, 0);
    server.close().await;
}
