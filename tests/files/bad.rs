//! Hostile and broken requests: the right status, and nothing on the disk that does not belong there.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::test_server::{PATIENCE, TestServer, answer};

#[tokio::test]
async fn an_upload_must_be_what_the_slot_is_for() {
    let server = TestServer::new("").await;
    let slot = server.slot("a.jpg", b"hello", Some("image/jpeg")).await;
    let put = |more: &str| format!("PUT {} HTTP/1.1\r\n{more}", slot.put);
    let table: &[(&str, &str, &[u8], u16)] = &[
        ("too short", "Content-Length: 4\r\n", b"hell", 400),
        ("too long", "Content-Length: 6\r\n", b"hello!", 400),
        ("nothing", "Content-Length: 0\r\n", b"", 400),
        ("no length", "", b"", 411),
        ("in chunks", "Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n", 411),
        ("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n", b"hello", 400),
        ("a negative length", "Content-Length: -5\r\n", b"hello", 400),
        ("another type", "Content-Length: 5\r\nContent-Type: text/html\r\n", b"hello", 415),
        ("no type at all", "Content-Length: 5\r\nContent-Type: x\r\n", b"hello", 415),
        ("a part", "Content-Length: 5\r\nUpload-Complete: ?0\r\n", b"hello", 400),
        ("another whole", "Content-Length: 5\r\nUpload-Length: 6\r\n", b"hello", 400),
        ("a wrong range", "Content-Length: 5\r\nContent-Range: bytes 0-3/5\r\n", b"hello", 400),
        ("a range beyond", "Content-Length: 5\r\nContent-Range: bytes 1-5/5\r\n", b"hello", 400),
        ("a later part", "Content-Length: 2\r\nContent-Range: bytes 3-4/5\r\n", b"lo", 409),
    ];
    for (what, head, body, status) in table {
        let answer = server.send(&put(head), body).await;
        assert_eq!(answer.status, *status, "{what}: {answer:?}");
        assert_eq!(server.everything().len(), server.partial(), "{what}");
    }
    let right = "Content-Length: 5\r\nContent-Type: IMAGE/JPEG; a=b\r\n";
    assert_eq!(server.send(&put(right), b"hello").await.status, 201);
    // A slot is used once.
    assert_eq!(server.send(&put(right), b"HELLO").await.status, 409);
    assert_eq!(server.get(&slot, "").await.body, b"hello");
    server.close().await;
}

#[tokio::test]
async fn only_the_server_signs_uploads() {
    let server = TestServer::new("").await;
    let (one, other) =
        (server.slot("a.jpg", b"hello", None).await, server.slot("a.jpg", b"hello", None).await);
    let signature = |put: &str| put.split_once("?s=").unwrap().1.to_owned();
    let (own, foreign) = (signature(&one.put), signature(&other.put));
    for wrong in
        ["", "x", &foreign, &own[1..], &format!("{own}A"), &own.to_lowercase(), &"A".repeat(43)]
    {
        for method in ["PUT", "PATCH", "DELETE", "HEAD"] {
            let path = format!("{}?s={wrong}", one.path);
            let answer = server.ask(method, &path, "", b"hello").await;
            assert_eq!(answer.status, 403, "{method} {wrong}: {answer:?}");
        }
    }
    for (method, status) in
        [("PUT", 403), ("PATCH", 403), ("DELETE", 403), ("POST", 405), ("TRACE", 405)]
    {
        let answer = server.ask(method, &one.path, "", b"hello").await;
        assert_eq!(answer.status, status, "{method}");
    }
    assert_eq!(server.everything(), [] as [String; 0]);
    server.close().await;
}

#[tokio::test]
async fn no_path_leads_out_of_the_store() {
    let server = TestServer::new("").await;
    let file = server.file("a.jpg", b"hello", None).await;
    let secret = server.file("token.key", b"other", None).await;
    let id = file.path.split('/').nth(2).unwrap();
    let signature = file.put.split_once('?').unwrap().1;
    for path in [
        "/files/",
        "/files/x",
        "/files/../token.key",
        "/files/../../etc/passwd",
        "/files/%2e%2e/%2e%2e/etc/passwd",
        "/files/..%2f..%2fetc%2fpasswd",
        "/files/%2e%2e%2f/passwd",
        "//files//etc/passwd",
        "/files//etc/passwd",
        r"/files/..\..\etc\passwd/x",
        "/files/partial/x",
        &format!("/files/{id}"),
        &format!("/files/{id}/"),
        &format!("/files/{id}/b.jpg"),
        &format!("/files/{id}/a.jpg/"),
        &format!("/files/{id}/a.jpg/../a.jpg"),
        &format!("/files/{id}/../{id}/a.jpg"),
        &format!("/files/{id}/%2e%2e%2f%2e%2e%2ftoken.key"),
        &format!("/files/{id}/a.jpg%00"),
        &format!("/files/{id}/a%2ejpg%"),
        &format!("/files/{}/a.jpg", id.to_uppercase()),
        &format!("/files/{}/a.jpg", &secret.path.split('/').nth(2).unwrap()),
        &format!("/files/%{:02x}{}/a.jpg", id.as_bytes()[0], &id[1..]),
    ] {
        for (method, path) in [("GET", path.to_owned()), ("PUT", format!("{path}?{signature}"))] {
            let answer = server.ask(method, &path, "", b"").await;
            assert!(matches!(answer.status, 400 | 404), "{method} {path}: {answer:?}");
        }
    }
    // Another spelling of the right address is the right address.
    assert_eq!(server.ask("GET", &file.path.replace("a.", "%61."), "", b"").await.body, b"hello");
    assert_eq!(server.everything().len(), 2);
    server.close().await;
}

#[tokio::test]
async fn without_tls_only_proxies_are_served() {
    let data = tempfile::tempdir().unwrap();
    let server = TestServer::with("", "proxies = [\"192.0.2.1\"]", data).await;
    let slot = server.slot("a.jpg", b"hello", None).await;
    for (method, path) in [("GET", &slot.path), ("HEAD", &slot.put), ("PUT", &slot.put)] {
        let body = if method == "PUT" { &b"hello"[..] } else { b"" };
        let answer = server.ask(method, path, "", body).await;
        assert_eq!(answer.status, 403, "{method}: {answer:?}");
        assert!(method == "HEAD" || answer.body.starts_with(b"Without TLS"), "{answer:?}");
        assert!(answer.head.contains("access-control-allow-origin: *\r\n"), "{answer:?}");
    }
    assert_eq!(server.everything(), [] as [String; 0]);
    server.close().await;
}

#[tokio::test]
async fn a_body_that_ends_early_is_no_file() {
    let server = TestServer::new("").await;
    let slot = server.slot("a.jpg", b"hello", None).await;
    let mut io = server.connect();
    let head =
        format!("PUT {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhel", slot.put);
    io.write_all(head.as_bytes()).await.unwrap();
    io.shutdown().await.unwrap();
    let answer = answer(&mut io).await;
    assert!(matches!(answer.status, 0 | 400), "{answer:?}");
    assert_eq!((server.get(&slot, "").await.status, server.contents()), (404, 0));
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let server = TestServer::new("").await;
    let slot = server.slot_of("a.jpg", 1 << 20, None).await;
    let mut io = server.connect();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\nhel",
        slot.put,
        1 << 20
    );
    io.write_all(head.as_bytes()).await.unwrap();
    let answer = answer(&mut io).await;
    assert_eq!(answer.status, 408);
    assert!(answer.head.contains("access-control-allow-origin: *\r\n"), "{answer:?}");
    assert_eq!(server.contents(), 0);
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_uploads_that_stay_half_there_leave_nothing() {
    let server = TestServer::new("budgets.uploads = 300\nbudgets.uploads_per_address = 10\n").await;
    let file = server.file("a.jpg", b"hello", None).await;
    let mut open = Vec::new();
    for i in 0..10_000_u32 {
        let slot = server.slot_of("a.bin", 200_000, None).await;
        let [_, a, b, c] = i.to_be_bytes();
        let head = format!(
            "PUT {} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 10.{a}.{b}.{c}\r\n\
             Content-Length: 200000\r\n\r\nhalf",
            slot.put
        );
        let mut io = server.connect();
        io.write_all(head.as_bytes()).await.unwrap();
        open.push((io, slot));
    }
    let uploads = &server.server.state().budgets.uploads;
    let begun = async {
        // The server has read the last head, too.
        while uploads.all() < 300 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, begun).await.unwrap();
    // Each of those that run has 512 KiB in memory at most.
    assert_eq!(uploads.all(), 300);
    assert!(server.partial() <= 300, "{}", server.partial());
    // Others are served meanwhile.
    assert_eq!(server.get(&file, "").await.body, b"hello");
    assert_eq!(server.ask("HEAD", &open[0].1.put, "", b"").await.status, 204);
    // They stay, and the server gives them up.
    let (connections, slots): (Vec<_>, Vec<_>) = open.into_iter().unzip();
    let gone = async {
        while server.server.state().metrics.connections.get() > 0 {
            crate::pass::pass(Duration::from_secs(1)).await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
    assert_eq!(uploads.all(), 0);
    drop(connections);
    assert_eq!(server.put(&slots[9999], &[7; 200_000], "").await.status, 201);
    server.clock.advance(Duration::from_secs(2 * 86_400));
    server.sweep().await;
    assert_eq!(server.partial(), 0);
    server.close().await;
}

#[tokio::test]
async fn so_many_uploads_run_at_once() {
    let server = TestServer::new("budgets.uploads_per_address = 1\n").await;
    let (one, other) =
        (server.slot("a.jpg", b"hello", None).await, server.slot("b.jpg", b"hello", None).await);
    let mut io = server.connect();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhel",
        one.put
    );
    io.write_all(head.as_bytes()).await.unwrap();
    // Until the server has read the first head.
    let begun = async {
        while server.partial() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, begun).await.unwrap();
    let refused = server.put(&other, b"hello", "").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.head.contains("retry-after: 30\r\n"), "{refused:?}");
    io.write_all(b"lo").await.unwrap();
    assert_eq!(answer(&mut io).await.status, 201);
    assert_eq!(server.put(&other, b"hello", "").await.status, 201);
    server.close().await;
}

#[tokio::test]
async fn a_client_that_sends_all_before_it_reads_learns_why_it_is_refused() {
    let server = TestServer::new("").await;
    let slot = server.slot_of("a.bin", 1 << 20, None).await;
    let mut io = server.connect();
    // Another length than that of the slot.
    let size = (1 << 20) + 1;
    let head =
        format!("PUT {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n", slot.put);
    io.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
    io.write_all(&vec![0; size]).await.unwrap();
    assert_eq!(answer(&mut io).await.status, 400);
    // One that asks first sends nothing, and is not waited for.
    let mut io = server.connect();
    io.write_all(format!("{head}Expect: 100-continue\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(answer(&mut io).await.status, 400);
    server.close().await;
}
