//! Several requests about one upload at the same time: each sees what is there when its turn has come.

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use waxwing::upload::Turn;

use crate::test_server::{Answer, PATIENCE, ROOMY, Slot, TestServer};

/// The upload ends, as soon as somebody else wants its turn.
async fn finish(server: &TestServer, slot: &Slot, turn: Turn) {
    turn.stopped().cancelled().await;
    let (uploads, storage) = (server.uploads(), &server.server.state().storage);
    let mut writing = uploads.contents.write(slot.id, 0, turn).await.unwrap();
    writing.write("hello".into()).await.unwrap();
    let (hash, turn) = writing.finish().await.unwrap();
    assert!(uploads.keep(&**storage, slot.id, hash, 5, ROOMY).await.unwrap());
    drop(turn);
}

#[tokio::test]
async fn a_file_that_is_there_meanwhile_is_neither_asked_for_nor_given_up() {
    let server = TestServer::new("").await;
    for (method, status) in [("HEAD", 204), ("DELETE", 409), ("PUT", 409)] {
        let slot = server.slot("a.txt", b"hello", None).await;
        let turn = server.uploads().turns.take(slot.id).await.unwrap();
        let body = if method == "PUT" { &b"HELLO"[..] } else { b"" };
        let asked = server.ask(method, &slot.put, "", body);
        let (answer, ()) = tokio::join!(asked, finish(&server, &slot, turn));
        assert_eq!(answer.status, status, "{method}: {answer:?}");
        if method == "HEAD" {
            assert!(answer.head.contains("upload-offset: 5\r\n"), "{answer:?}");
            assert!(answer.head.contains("upload-complete: ?1\r\n"), "{answer:?}");
        }
        assert_eq!(server.get(&slot, "").await.body, b"hello", "{method}");
    }
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_gets_no_turn_may_try_again() {
    let server = TestServer::new("").await;
    let slot = server.slot("a.txt", b"hello", None).await;
    let turn = server.uploads().turns.take(slot.id).await.unwrap();
    for method in ["PUT", "HEAD", "DELETE"] {
        let body = if method == "PUT" { &b"hello"[..] } else { b"" };
        let answer = server.ask(method, &slot.put, "", body).await;
        assert_eq!(answer.status, 503, "{method}: {answer:?}");
        assert!(answer.head.contains("retry-after: 10\r\n"), "{answer:?}");
    }
    drop(turn);
    assert_eq!(server.put(&slot, b"hello", "").await.status, 201);
    server.close().await;
}

/// An empty PATCH behind the last byte.
async fn end(server: &TestServer, slot: &Slot, more: &str) -> Answer {
    let head = format!("PATCH {} HTTP/1.1\r\nContent-Length: 0\r\n{more}", slot.put);
    server.send(&head, b"").await
}

#[tokio::test]
async fn an_upload_ends_when_all_bytes_are_there() {
    let server = TestServer::new("").await;
    let slot = server.slot("a.txt", b"hello", None).await;
    // The disk has failed at the end.
    let turn = server.uploads().turns.take(slot.id).await.unwrap();
    let mut writing = server.uploads().contents.write(slot.id, 0, turn).await.unwrap();
    writing.write("hello".into()).await.unwrap();
    drop(writing);
    let head = server.ask("HEAD", &slot.put, "", b"").await;
    for line in ["upload-offset: 5\r\n", "upload-length: 5\r\n", "upload-complete: ?0\r\n"] {
        assert!(head.head.contains(line), "{head:?}");
    }
    for (more, status) in [
        ("Upload-Offset: 4\r\n", 400),
        ("Upload-Offset: 6\r\n", 400),
        ("Upload-Offset: 5\r\nUpload-Complete: ?0\r\n", 400),
        ("Upload-Offset: 5\r\nUpload-Complete: ?1\r\n", 201),
        ("Upload-Offset: 5\r\n", 409),
    ] {
        let answer = end(&server, &slot, more).await;
        assert_eq!(answer.status, status, "{more}: {answer:?}");
    }
    assert_eq!(server.get(&slot, "").await.body, b"hello");
    // Nothing is there yet.
    let slot = server.slot("a.txt", b"hello", None).await;
    assert_eq!(end(&server, &slot, "Upload-Offset: 5\r\n").await.status, 409);
    server.close().await;
}

#[tokio::test]
async fn a_client_that_goes_when_all_was_sent_leaves_a_file() {
    let server = TestServer::new("").await;
    for round in 0..20_u8 {
        let content = vec![round; 100_000];
        let slot = server.slot("a.bin", &content, None).await;
        let mut io = server.connect();
        let length = content.len();
        let head = format!(
            "PUT {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n",
            slot.put
        );
        io.write_all(head.as_bytes()).await.unwrap();
        io.write_all(&content).await.unwrap();
        // Now and then the server has seen all, and works; now and then not.
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        drop(io);
        let settled = async {
            while server.server.state().metrics.connections.get() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, settled).await.unwrap();
        let head = server.ask("HEAD", &slot.put, "", b"").await.head;
        let is_there = head.contains("upload-complete: ?1");
        assert_eq!(head.contains("upload-offset: 100000\r\n"), is_there, "{round}: {head}");
        assert_eq!(server.get(&slot, "").await.status == 200, is_there, "{round}: {head}");
    }
    server.close().await;
}
