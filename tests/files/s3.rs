//! Files in a bucket.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::s3_store::{Fault, SECRET, Store};
use crate::test_server::{Slot, TestServer};

fn options(address: SocketAddr, more: &str) -> String {
    format!(
        "[s3]\nendpoint = 'http://{address}'\nbucket = 'files'\nregion = 'garden'\n\
         access_key = 'key'\nsecret = '{SECRET}'\ntimeout = '1 s'\n{more}"
    )
}

fn content() -> Vec<u8> {
    (0..300_000_u32).map(|n| (n % 251) as u8).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_in_the_bucket_and_not_on_the_disk() {
    let (store, address) = Store::start().await;
    let server = TestServer::new(&options(address, "")).await;
    let content = content();
    let file = server.file("a.bin", &content, Some("image/png")).await;
    assert_eq!((server.contents(), server.partial()), (0, 0), "nothing is left on the disk");
    assert_eq!(store.objects.lock().values().collect::<Vec<_>>(), [&content]);
    assert!(store.objects.lock().keys().all(|path| path.starts_with("/files/")));
    let all = server.get(&file, "").await;
    assert!(all.status == 200 && all.body == content, "{} {}", all.status, all.body.len());
    let part = server.get(&file, "Range: bytes=100000-100009\r\n").await;
    assert_eq!((part.status, &part.body[..]), (206, &content[100_000..100_010]));
    let head = server.ask("HEAD", &file.path, "", b"").await;
    assert!(head.status == 200 && head.body.is_empty(), "{head:?}");
    // The same content is not sent again.
    let again = server.file("b.bin", &content, None).await;
    assert_eq!(store.count("PUT"), 1);
    assert!(server.remove(&file).await);
    server.sweep().await;
    assert_eq!(store.objects.lock().len(), 1, "the other file has it");
    assert!(server.remove(&again).await);
    server.sweep().await;
    assert!(store.objects.lock().is_empty());
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_interrupted_is_continued() {
    let (store, address) = Store::start().await;
    let server = TestServer::new(&options(address, "")).await;
    let content = content();
    let slot = server.slot("a.bin", &content, None).await;
    let first = "Content-Range: bytes 0-99999/300000\r\n";
    assert_eq!(server.put(&slot, &content[..100_000], first).await.status, 204);
    assert_eq!(store.count("PUT"), 0);
    let rest = "Content-Range: bytes 100000-299999/300000\r\n";
    assert_eq!(server.put(&slot, &content[100_000..], rest).await.status, 201);
    assert_eq!(server.get(&slot, "").await.body, content);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bucket_does_wrong_becomes_a_status_and_the_upload_stays() {
    let (store, address) = Store::start().await;
    let server = TestServer::new(&options(address, "")).await;
    let kept = server.file("b.txt", b"other", None).await;
    let slot = server.slot("a.txt", b"hello", None).await;
    for (fault, status) in [
        (Fault::Status(403, "AccessDenied"), 502),
        (Fault::Status(500, "InternalError"), 502),
        (Fault::Status(503, "SlowDown"), 503),
        (Fault::Status(507, "XMinioStorageFull"), 507),
        (Fault::Silent, 504),
    ] {
        *store.fault.lock() = fault;
        let put = server.put(&slot, b"hello", "").await;
        assert_eq!(put.status, status, "{fault:?}: {put:?}");
        assert_eq!(put.head.contains("retry-after: "), matches!(status, 503 | 504), "{put:?}");
        let get = server.get(&kept, "").await;
        assert_eq!(get.status, status, "{fault:?}: {get:?}");
        assert_eq!(server.get(&slot, "").await.status, 404);
        assert_eq!((server.contents(), server.partial()), (0, 1));
    }
    // All bytes are there: the client need not send them again.
    *store.fault.lock() = Fault::None;
    let end = "Upload-Offset: 5\r\nUpload-Complete: ?1\r\nContent-Length: 0\r\n";
    assert_eq!(server.ask("PATCH", &slot.put, end, b"").await.status, 201);
    assert_eq!(server.get(&slot, "").await.body, b"hello");
    assert_eq!(server.partial(), 0);
    // What somebody has removed from the bucket is an error, and no empty file.
    store.objects.lock().clear();
    assert_eq!(server.get(&slot, "").await.status, 500);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_ends_too_early_is_no_whole_file() {
    let (store, address) = Store::start().await;
    let server = TestServer::new(&options(address, "")).await;
    let content = content();
    let file = server.file("a.bin", &content, None).await;
    *store.fault.lock() = Fault::Cut;
    let cut = server.get(&file, "").await;
    assert!(
        cut.head.contains("content-length: 300000\r\n") && cut.body.len() < 300_000,
        "{}",
        cut.head
    );
    *store.fault.lock() = Fault::None;
    assert_eq!(server.get(&file, "").await.body, content);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_nobody_reaches_and_one_with_another_key_are_told() {
    let (store, address) = Store::start().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = closed.local_addr().unwrap();
    drop(closed);
    let server = TestServer::new(&options(nobody, "")).await;
    let slot = server.slot("a.txt", b"hello", None).await;
    assert_eq!(server.put(&slot, b"hello", "").await.status, 503);
    server.close().await;
    let wrong = options(address, "").replace(SECRET, "another secret");
    let server = TestServer::new(&wrong).await;
    let slot = server.slot("a.txt", b"hello", None).await;
    assert_eq!(server.put(&slot, b"hello", "").await.status, 502);
    assert!(store.objects.lock().is_empty());
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_upload_to_the_bucket_keeps_nobody_waiting() {
    let (store, address) = Store::start().await;
    let server = TestServer::new(&options(address, "").replace("'1 s'", "'1 min'")).await;
    let kept = server.file("b.txt", b"other", None).await;
    let permits = u32::try_from(store.puts.available_permits()).unwrap();
    let all = store.puts.acquire_many(permits).await.unwrap();
    let slot = server.slot("a.txt", b"hello", None).await;
    let slow = server.put(&slot, b"hello", "");
    let meanwhile = async {
        // Until the bucket has the request.
        while store.count("PUT") < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.get(&kept, "").await.body, b"other");
        server.sweep().await;
        assert_eq!(server.get(&slot, "").await.status, 404);
        // One more may go first.
        drop(all);
    };
    let (put, ()) = tokio::join!(slow, meanwhile);
    assert_eq!(put.status, 201, "{put:?}");
    assert_eq!(server.get(&slot, "").await.body, b"hello");
    server.close().await;
}

/// Fetches from the store itself.
async fn fetch(address: SocketAddr, path: &str) -> String {
    let mut io = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nRange: bytes=1-\r\n\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    let mut heard = vec![0; 4096];
    let read = timeout(Duration::from_secs(10), io.read(&mut heard)).await.unwrap().unwrap();
    String::from_utf8_lossy(&heard[..read]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_are_sent_to_the_store_if_that_is_wanted() {
    let (store, address) = Store::start().await;
    let server = TestServer::new(&options(address, "redirect = true\n")).await;
    let file = server.file("très cool.png", b"hello", Some("image/png")).await;
    let location = redirected(&server, &file, address).await;
    for part in [
        "X-Amz-Signature=",
        "X-Amz-Expires=300",
        "response-content-type=image%2Fpng",
        "response-content-disposition=inline%3B%20filename%2A%3DUTF-8%27%27tr%25C3%25A8s%2520cool.png",
    ] {
        assert!(location.contains(part), "{part}: {location}");
    }
    assert_eq!(store.count("GET"), 0);
    let got = fetch(address, &location).await;
    assert!(got.starts_with("HTTP/1.1 206 ") && got.ends_with("ello"), "{got}");
    // Nobody can make another address of it.
    let other = location.replace("image%2Fpng", "text%2Fhtml");
    let got = fetch(address, &other).await;
    assert!(got.starts_with("HTTP/1.1 403 "), "{got}");
    let head = server.ask("HEAD", &file.path, "", b"").await;
    assert_eq!(head.status, 200, "{head:?}");
    // No address outlives the file (XEP-0363 §5.3).
    let stored = server.server.state().storage.files().find(file.id).await.unwrap().unwrap();
    let left = stored.expires.unwrap().as_micros() - server.clock.now().as_micros();
    server
        .clock
        .advance(Duration::from_micros(u64::try_from(left).unwrap()) - Duration::from_secs(77));
    let location = redirected(&server, &file, address).await;
    assert!(location.contains("X-Amz-Expires=77&"), "{location}");
    server.close().await;
}

/// The path and the query at the store to which a download is sent.
async fn redirected(server: &TestServer, file: &Slot, address: SocketAddr) -> String {
    let mut io = server.connect();
    let request =
        format!("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", file.path);
    io.write_all(request.as_bytes()).await.unwrap();
    let mut heard = String::new();
    timeout(crate::test_server::PATIENCE, io.read_to_string(&mut heard)).await.unwrap().unwrap();
    assert!(heard.starts_with("HTTP/1.1 302 "), "{heard}");
    assert!(
        heard.contains("cache-control: no-store\r\n") && heard.ends_with("\r\n\r\n"),
        "{heard}"
    );
    let location = heard.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    let path = location.strip_prefix(&format!("http://{address}")).unwrap();
    assert!(path.starts_with("/files/"), "{path}");
    path.to_owned()
}
