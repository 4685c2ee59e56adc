//! Files over HTTP (XEP-0363), byte by byte: uploads, downloads, and all that is wrong with them. How clients get
//! slots is in `tests/scripts/xep-0363/`.

#![expect(clippy::unwrap_used, reason = "functions of tests")]

#[path = "files/bad.rs"]
mod bad;
#[path = "files/client.rs"]
mod client;
#[path = "files/command.rs"]
mod command;
#[path = "support/pass.rs"]
mod pass;
#[path = "files/purposes.rs"]
mod purposes;
#[path = "files/removal.rs"]
mod removal;
#[path = "files/resume.rs"]
mod resume;
#[path = "files/retraction.rs"]
mod retraction;
#[path = "files/s3.rs"]
mod s3;
#[path = "files/s3_store.rs"]
mod s3_store;
#[path = "files/test_server.rs"]
mod test_server;
#[path = "files/turns.rs"]
mod turns;

use std::time::Duration;

use test_server::{Slot, TestServer};
use tokio::io::AsyncWriteExt as _;

#[tokio::test]
async fn a_file_that_was_uploaded_is_downloaded() {
    let server = TestServer::new("").await;
    let slot = server.slot("très cool.jpg", b"hello", Some("image/jpeg")).await;
    // Nobody learns of a slot.
    assert_eq!(server.get(&slot, "").await.status, 404);
    let answer = server.put(&slot, b"hello", "Content-Type: image/jpeg\r\n").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(answer.head.contains("upload-complete: ?1\r\n"), "{answer:?}");
    let answer = server.get(&slot, "").await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]), "{answer:?}");
    for line in [
        "content-type: image/jpeg\r\n",
        "content-length: 5\r\n",
        "content-disposition: inline; filename*=utf-8''tr%c3%a8s%20cool.jpg\r\n",
        "content-security-policy: default-src 'none'; frame-ancestors 'none'; sandbox\r\n",
        "x-content-type-options: nosniff\r\n",
        "access-control-allow-origin: *\r\n",
        "accept-ranges: bytes\r\n",
        "last-modified: wed, 01 jul 2026 12:00:00 gmt\r\n",
        "etag: \"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"\r\n",
    ] {
        assert!(answer.head.contains(line), "{line} is missing in {answer:?}");
    }
    let head = server.ask("HEAD", &slot.path, "", b"").await;
    assert_eq!((head.status, &head.body[..]), (200, &b""[..]), "{head:?}");
    assert!(head.head.contains("content-length: 5\r\n"), "{head:?}");
    server.close().await;
}

#[tokio::test]
async fn parts_and_conditions_are_those_of_http() {
    let server = TestServer::new("").await;
    let slot = server.file("a.txt", b"0123456789", Some("text/plain")).await;
    let tag = "\"84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882\"";
    let (own, weak) =
        (format!("If-None-Match: {tag}\r\n"), format!("If-None-Match: \"x\", W/{tag}\r\n"));
    let if_range = format!("Range: bytes=2-4\r\nIf-Range: {tag}\r\n");
    let table: &[(&str, u16, &str, &str)] = &[
        ("Range: bytes=2-4\r\n", 206, "234", "content-range: bytes 2-4/10"),
        ("Range: bytes=-3\r\n", 206, "789", "content-range: bytes 7-9/10"),
        ("Range: bytes=5-\r\n", 206, "56789", "content-range: bytes 5-9/10"),
        ("Range: bytes=0-99999999999999999999\r\n", 206, "0123456789", "bytes 0-9/10"),
        ("Range: bytes=10-\r\n", 416, "", "content-range: bytes */10"),
        ("Range: bytes=-0\r\n", 416, "", "content-range: bytes */10"),
        ("Range: bytes=4-2\r\n", 200, "0123456789", ""),
        ("Range: bytes=--5\r\n", 200, "0123456789", ""),
        ("Range: bytes=0-1,3-4\r\n", 200, "0123456789", ""),
        ("Range: lines=0-1\r\n", 200, "0123456789", ""),
        (&if_range, 206, "234", ""),
        ("Range: bytes=2-4\r\nIf-Range: \"x\"\r\n", 200, "0123456789", ""),
        ("Range: bytes=2-4\r\nIf-Range: Wed, 01 Jul 2026 12:00:00 GMT\r\n", 206, "234", ""),
        (&own, 304, "", "etag: "),
        (&weak, 304, "", ""),
        ("If-None-Match: *\r\n", 304, "", ""),
        ("If-None-Match: \"x\"\r\n", 200, "0123456789", ""),
        ("If-Modified-Since: Wed, 01 Jul 2026 12:00:00 GMT\r\n", 304, "", ""),
        ("If-Modified-Since: Wed, 01 Jul 2026 11:59:59 GMT\r\n", 200, "0123456789", ""),
        ("If-Modified-Since: yesterday\r\n", 200, "0123456789", ""),
        (
            "If-None-Match: \"x\"\r\nIf-Modified-Since: Wed, 01 Jul 2026 12:00:00 GMT\r\n",
            200,
            "0123456789",
            "",
        ),
    ];
    for (lines, status, body, header) in table {
        let answer = server.get(&slot, lines).await;
        assert_eq!(answer.status, *status, "{lines}: {answer:?}");
        assert!(answer.head.contains(header), "{lines}: {answer:?}");
        if *status < 400 {
            assert_eq!(answer.body, body.as_bytes(), "{lines}");
        }
    }
    server.close().await;
}

#[tokio::test]
async fn no_page_of_a_user_runs_as_one_of_ours() {
    let server = TestServer::new("").await;
    for (name, kind, shown, how) in [
        ("a.html", Some("text/html"), "application/octet-stream", "attachment"),
        ("a.svg", Some("image/svg+xml"), "application/octet-stream", "attachment"),
        ("a.xml", Some("application/xml"), "application/octet-stream", "attachment"),
        ("a.js", Some("text/javascript"), "application/octet-stream", "attachment"),
        ("a.pdf", Some("application/pdf"), "application/pdf", "attachment"),
        ("a.png", None, "application/octet-stream", "attachment"),
        ("a.mp4", Some("video/mp4"), "video/mp4", "inline"),
    ] {
        let slot = server.file(name, b"<script>alert(1)</script>", kind).await;
        let answer = server.get(&slot, "").await;
        for line in [
            format!("content-type: {shown}\r\n"),
            format!("content-disposition: {how}; filename*=utf-8''{name}\r\n"),
            "sandbox\r\n".into(),
            "x-content-type-options: nosniff\r\n".into(),
        ] {
            assert!(answer.head.contains(&line), "{line} is missing in {answer:?}");
        }
    }
    server.close().await;
}

#[tokio::test]
async fn pages_from_everywhere_may_upload() {
    let server = TestServer::new("").await;
    let slot = server.slot("a.jpg", b"hello", Some("image/jpeg")).await;
    for path in [slot.put.as_str(), "/files/x", "/files/a/b"] {
        let more = "Origin: https://chat.example\r\nAccess-Control-Request-Method: PUT\r\n\
            Access-Control-Request-Headers: authorization, content-type\r\n";
        let answer = server.ask("OPTIONS", path, more, b"").await;
        assert_eq!(answer.status, 204, "{answer:?}");
        for part in [
            "access-control-allow-origin: *\r\n",
            "access-control-allow-methods: options, head, get, put",
            "access-control-allow-headers: authorization, content-type",
        ] {
            assert!(answer.head.contains(part), "{part} is missing in {answer:?}");
        }
    }
    // A refusal can be read, too.
    let answer = server.ask("PUT", &slot.path, "", b"hello").await;
    assert_eq!(answer.status, 403);
    assert!(answer.head.contains("access-control-allow-origin: *\r\n"), "{answer:?}");
    server.close().await;
}

#[tokio::test]
async fn the_same_file_is_stored_once_until_nobody_has_it() {
    let server = TestServer::new("").await;
    let (one, other) =
        (server.file("a.jpg", b"hello", None).await, server.file("b.jpg", b"hello", None).await);
    assert_eq!(server.contents(), 1);
    assert!(server.remove(&one).await);
    server.sweep().await;
    assert_eq!(server.get(&one, "").await.status, 404);
    assert_eq!(server.get(&other, "").await.body, b"hello");
    assert!(server.remove(&other).await);
    server.sweep().await;
    assert_eq!((server.get(&other, "").await.status, server.contents()), (404, 0));
    let again = server.file("c.jpg", b"hello", None).await;
    assert_eq!(server.get(&again, "").await.body, b"hello");
    server.close().await;
}

#[tokio::test]
async fn files_and_slots_expire() {
    let server = TestServer::new("files.age = \"1 d\"\n").await;
    let file = server.file("a.jpg", b"hello", None).await;
    let slot = server.slot("b.jpg", b"hello", None).await;
    server.clock.advance(Duration::from_secs(301));
    assert_eq!(server.put(&slot, b"hello", "").await.status, 410);
    assert_eq!(server.get(&file, "").await.status, 200);
    // What is being written when its slot ends is written to its end.
    let slow = server.slot("c.jpg", b"hello", None).await;
    server.clock.advance(Duration::from_secs(299));
    let mut io = server.connect();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhel",
        slow.put
    );
    io.write_all(head.as_bytes()).await.unwrap();
    while server.partial() == 0 {
        tokio::task::yield_now().await;
    }
    server.clock.advance(Duration::from_secs(2));
    server.sweep().await;
    io.write_all(b"lo").await.unwrap();
    assert_eq!(test_server::answer(&mut io).await.status, 201);
    server.clock.advance(Duration::from_secs(86_400));
    assert_eq!(server.get(&file, "").await.status, 410);
    server.sweep().await;
    assert_eq!((server.get(&file, "").await.status, server.contents()), (404, 0));
    server.close().await;
}

#[tokio::test]
async fn the_signature_may_be_in_a_header() {
    let server = TestServer::new("").await;
    let Slot { path, put, .. } = server.slot("a.jpg", b"hello", None).await;
    let signature = put.split_once("?s=").unwrap().1;
    for (header, status) in [
        ("Authorization: Bearer AAAA\r\n".to_owned(), 403),
        (format!("Authorization: Basic {signature}\r\n"), 403),
        (format!("Authorization: bearer {signature}\r\n"), 201),
    ] {
        assert_eq!(server.ask("PUT", &path, &header, b"hello").await.status, status, "{header}");
    }
    // A token of something else is nothing to a download, and HEAD answers as GET.
    for method in ["GET", "HEAD"] {
        let answer = server.ask(method, &path, "Authorization: Bearer AAAA\r\n", b"").await;
        assert_eq!(answer.status, 200, "{method}: {answer:?}");
    }
    server.close().await;
}

#[tokio::test]
async fn files_that_are_switched_off_are_not_there() {
    let server = TestServer::new("").await;
    let slot = server.file("a.jpg", b"hello", None).await;
    let text = "files.enabled = false\n";
    let off = TestServer::new(text).await;
    assert_eq!(off.get(&slot, "").await.status, 404);
    server.close().await;
    off.close().await;
}

/// XEP-0363 §7: a client may tell the type when it uploads the file, not before.
#[tokio::test]
async fn a_file_has_the_type_that_its_upload_tells() {
    let server = TestServer::new("").await;
    for (told, wanted, how) in [
        ("Content-Type: image/png\r\n", "image/png", "inline"),
        ("Content-Type: text/html\r\n", "application/octet-stream", "attachment"),
        ("Content-Type: nonsense\r\n", "application/octet-stream", "attachment"),
        ("", "application/octet-stream", "attachment"),
    ] {
        let slot = server.slot("a", b"hello", None).await;
        assert_eq!(server.put(&slot, b"hello", told).await.status, 201, "{told}");
        let answer = server.get(&slot, "").await;
        assert!(answer.head.contains(&format!("content-type: {wanted}\r\n")), "{answer:?}");
        assert!(answer.head.contains(&format!("content-disposition: {how}")), "{answer:?}");
        let etag = answer.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
        let head = server.ask("HEAD", &slot.path, &format!("If-None-Match: {etag}\r\n"), b"").await;
        // RFC 9110 §8.6: not the length of the body that is not there.
        assert_eq!(
            (head.status, head.head.contains("\ncontent-length:")),
            (304, false),
            "{head:?}"
        );
    }
    server.close().await;
}
