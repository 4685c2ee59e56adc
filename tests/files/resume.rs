//! Uploads that are interrupted and continued.

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::test_server::{PATIENCE, Slot, TestServer, answer};

/// How far an upload is: offset, and whether it is complete.
async fn state(server: &TestServer, slot: &Slot) -> (u64, bool) {
    let answer = server.ask("HEAD", &slot.put, "", b"").await;
    assert_eq!(answer.status, 204, "{answer:?}");
    // RFC 9110 §8.6.
    assert!(!answer.head.contains("\ncontent-length:"), "{answer:?}");
    let header = |name: &str| {
        let line = answer.head.lines().find(|line| line.starts_with(name)).unwrap();
        line.split(": ").nth(1).unwrap().to_owned()
    };
    (header("upload-offset").parse().unwrap(), header("upload-complete") == "?1")
}

/// The beginning of an upload whose connection is lost.
async fn interrupted(server: &TestServer, slot: &Slot, all: usize, begin: &[u8]) {
    let mut io = server.connect();
    let head =
        format!("PUT {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {all}\r\n\r\n", slot.put);
    io.write_all(head.as_bytes()).await.unwrap();
    io.write_all(begin).await.unwrap();
    io.shutdown().await.unwrap();
    answer(&mut io).await;
}

#[tokio::test]
async fn what_has_come_is_not_sent_again() {
    let server = TestServer::new("").await;
    let content: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    for how in ["PUT", "PATCH"] {
        let slot = server.slot("a.bin", &content, None).await;
        assert_eq!(state(&server, &slot).await, (0, false));
        interrupted(&server, &slot, content.len(), &content[..200_000]).await;
        let (offset, is_complete) = state(&server, &slot).await;
        assert_eq!((offset, is_complete), (200_000, false), "{how}");
        assert_eq!(server.get(&slot, "").await.status, 404);
        // A slot is valid for longer then.
        server.clock.advance(std::time::Duration::from_secs(3600));
        let more = match how {
            "PUT" => format!("Content-Range: bytes 200000-{}/300000\r\n", content.len() - 1),
            _ => "Content-Type: application/partial-upload\r\nUpload-Offset: 200000\r\n\
                Upload-Complete: ?1\r\n"
                .to_owned(),
        };
        let answer = server.ask(how, &slot.put, &more, &content[200_000..]).await;
        assert_eq!(answer.status, 201, "{how}: {answer:?}");
        assert_eq!(state(&server, &slot).await, (300_000, true));
        assert!(server.get(&slot, "").await.body == content, "{how}");
        assert_eq!(server.partial(), 0);
    }
    server.close().await;
}

#[tokio::test]
async fn a_file_may_come_in_parts() {
    let server = TestServer::new("").await;
    let slot = server.slot("a.txt", b"hello, world", None).await;
    let first = server.put(&slot, b"hello", "Upload-Complete: ?0\r\n").await;
    assert_eq!(first.status, 204, "{first:?}");
    assert!(first.head.contains("upload-offset: 5\r\n"), "{first:?}");
    for (offset, status) in [(4, 409), (6, 409), (99, 400), (u64::MAX, 400)] {
        let more = format!("Upload-Offset: {offset}\r\nUpload-Complete: ?0\r\n");
        let answer = server.ask("PATCH", &slot.put, &more, b", w").await;
        assert_eq!(answer.status, status, "{offset}: {answer:?}");
        if status == 409 {
            assert!(answer.head.contains("upload-offset: 5\r\n"), "{answer:?}");
        }
    }
    assert_eq!(server.ask("PATCH", &slot.put, "", b", w").await.status, 400);
    let more = "Upload-Offset: 5\r\nUpload-Complete: ?0\r\n";
    assert_eq!(server.ask("PATCH", &slot.put, more, b", w").await.status, 204);
    // Some bytes are sent again.
    let more = "Content-Range: bytes 4-11/12\r\n";
    assert_eq!(server.put(&slot, b"o, world", more).await.status, 201);
    assert_eq!(server.get(&slot, "").await.body, b"hello, world");
    server.close().await;
}

#[tokio::test]
async fn whoever_comes_later_continues() {
    let server = TestServer::new("").await;
    let content = vec![7; 1_000_000];
    let slot = server.slot("a.bin", &content, None).await;
    // The server does not know yet that this connection is dead.
    let mut dead = server.connect();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n",
        slot.put
    );
    dead.write_all(head.as_bytes()).await.unwrap();
    dead.write_all(&content[..600_000]).await.unwrap();
    let begun = async {
        while server.partial_bytes() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, begun).await.unwrap();
    let (offset, _) = state(&server, &slot).await;
    assert!(offset > 0 && offset <= 600_000, "{offset}");
    let more = format!("Content-Range: bytes {offset}-999999/1000000\r\n");
    let answer = server.put(&slot, &content[offset as usize..], &more).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(crate::test_server::answer(&mut dead).await.status, 400);
    assert!(server.get(&slot, "").await.body == content);
    server.close().await;
}

#[tokio::test]
async fn an_upload_is_given_up() {
    let server = TestServer::new("").await;
    let slot = server.slot("a.txt", b"hello", None).await;
    server.put(&slot, b"hel", "Upload-Complete: ?0\r\n").await;
    assert_eq!(server.partial(), 1);
    assert_eq!(server.ask("DELETE", &slot.put, "", b"").await.status, 204);
    assert_eq!(server.partial(), 0);
    assert_eq!(server.put(&slot, b"hello", "").await.status, 404);
    // A file is not given up.
    let file = server.file("a.txt", b"hello", None).await;
    assert_eq!(server.ask("DELETE", &file.put, "", b"").await.status, 409);
    assert_eq!(server.get(&file, "").await.body, b"hello");
    server.close().await;
}
