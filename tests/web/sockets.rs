//! HTTP over sockets of the system, as clients have it: pieces come as the network cuts them, ends are half ends, and a
//! connection that is given up is reset.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use waxwing::host::uploads::{expires, signed_url, url};
use waxwing::jid::BareJid;
use waxwing::payload::datetime::Timestamp;
use waxwing::storage::{FileBounds, FileId, NewAccount, Purpose, StoredFile};
use waxwing::upload::Uploads;

use super::{PATIENCE, TestServer};

/// A server that listens, and where.
async fn listening(options: &str) -> (TestServer, SocketAddr) {
    let server = TestServer::new(&format!("http = '127.0.0.1:0'\nhttps = []\n{options}")).await;
    let addresses = server.server.addresses();
    let at = addresses[0].1;
    (server, at)
}

/// Reads until this has come.
async fn heard(io: &mut TcpStream, wanted: &str) -> String {
    let mut all = String::new();
    let mut buffer = [0; 4096];
    while !all.contains(wanted) {
        let count = timeout(PATIENCE, io.read(&mut buffer)).await.unwrap().unwrap();
        assert!(count > 0, "{wanted} is missing in {all}");
        all.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    all
}

async fn all(io: &mut TcpStream) -> String {
    let mut all = Vec::new();
    timeout(PATIENCE, io.read_to_end(&mut all)).await.unwrap().unwrap();
    String::from_utf8_lossy(&all).into_owned()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// A slot for a file of this size: the path with its signature, and the one for the download.
async fn slot(server: &TestServer, size: u64) -> (FileId, String, String) {
    let state = server.server.state();
    let owner = BareJid::parse("romeo@localhost").unwrap();
    let now = state.clock.now();
    let account = NewAccount { user: owner.clone(), keys: Vec::new(), created: now, admin: false };
    state.storage.accounts().create(&[account]).await.unwrap();
    let file = StoredFile {
        id: FileId::random(),
        owner,
        name: "a.bin".to_owned(),
        size,
        media_type: None,
        purpose: Purpose::Message,
        created: now,
        slot_until: Timestamp::from_micros(now.as_micros() + 300_000_000),
        expires: expires(state, Purpose::Message, now, None),
        content: None,
    };
    let bounds = FileBounds { bytes: 1 << 30, files: 100, replace: false, per_day: None };
    state.storage.files().reserve(&file, bounds).await.unwrap();
    let key = state.shared::<Uploads>().key(&*state.storage).await.unwrap();
    let get = url(state, &file).unwrap();
    let put = signed_url(&get, key, &file);
    let path = |url: &str| url.splitn(4, '/').nth(3).map(|rest| format!("/{rest}")).unwrap();
    (file.id, path(&put), path(&get))
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_share_a_connection_one_after_the_other_or_all_at_once() {
    let (server, at) = listening("").await;
    let mut io = TcpStream::connect(at).await.unwrap();
    for _ in 0..3 {
        io.write_all(get("/pages.css").as_bytes()).await.unwrap();
        let answer = heard(&mut io, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut rest = vec![0; length.parse::<usize>().unwrap() - body.len()];
        timeout(PATIENCE, io.read_exact(&mut rest)).await.unwrap().unwrap();
    }
    // Byte by byte, and four of them without waiting for an answer (RFC 9112 §9.3.2).
    for byte in get("/.well-known/host-meta.json").bytes() {
        io.write_all(&[byte]).await.unwrap();
    }
    let last = "GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let many = [get("/pages.css"), get("/nothing"), last.to_owned()].concat();
    io.write_all(many.as_bytes()).await.unwrap();
    let answers = all(&mut io).await;
    let statuses: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["404", "200", "404", "404"], "{answers}");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_sent_all_may_say_so_and_still_gets_the_answer() {
    let (server, at) = listening("").await;
    let mut io = TcpStream::connect(at).await.unwrap();
    io.write_all(get("/pages.css").as_bytes()).await.unwrap();
    io.shutdown().await.unwrap();
    let answer = all(&mut io).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    server.close().await;
}

/// A client may wait until the server wants the body (RFC 9110 §10.1.1).
#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_asked_for() {
    let (server, at) = listening("[files]\nurl = 'https://f.example'").await;
    let (_, put, get) = slot(&server, 5).await;
    let mut io = TcpStream::connect(at).await.unwrap();
    let head = |path: &str| {
        format!(
            "PUT {path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
    };
    io.write_all(head(&put).as_bytes()).await.unwrap();
    let answer = heard(&mut io, "\r\n\r\n").await;
    assert_eq!(answer, "HTTP/1.1 100 Continue\r\n\r\n");
    io.write_all(b"hello").await.unwrap();
    let answer = heard(&mut io, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    // One that is not wanted is not asked for.
    let mut io = TcpStream::connect(at).await.unwrap();
    io.write_all(head(&get).as_bytes()).await.unwrap();
    let answer = heard(&mut io, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    server.close().await;
}

/// A client that is cut off in the middle of an upload goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_off_goes_on() {
    let (server, at) = listening("[files]\nurl = 'https://f.example'").await;
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 3) as u8).collect();
    let (id, put, get_path) = slot(&server, content.len() as u64).await;
    let mut io = TcpStream::connect(at).await.unwrap();
    let head = format!(
        "PUT {put} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    io.write_all(head.as_bytes()).await.unwrap();
    // In uneven pieces, and then the connection is reset.
    for piece in content[..2_000_000].chunks(77_777) {
        io.write_all(piece).await.unwrap();
    }
    let contents = &server.server.state().shared::<Uploads>().contents;
    let begun = async {
        while contents.uploaded(id).await.unwrap() == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, begun).await.unwrap();
    io.set_zero_linger().unwrap();
    drop(io);
    let mut io = TcpStream::connect(at).await.unwrap();
    let head = format!("HEAD {put} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    io.write_all(head.as_bytes()).await.unwrap();
    let answer = all(&mut io).await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let offset = answer.lines().find_map(|line| line.strip_prefix("upload-offset: ")).unwrap();
    let offset: usize = offset.parse().unwrap();
    assert!(offset > 0, "{answer}");
    assert!(offset <= 2_000_000, "{offset}");
    let mut io = TcpStream::connect(at).await.unwrap();
    let head = format!(
        "PATCH {put} HTTP/1.1\r\nHost: localhost\r\nUpload-Offset: {offset}\r\nUpload-Complete: ?1\r\n\
         Content-Type: application/partial-upload\r\nContent-Length: {}\r\n\r\n",
        content.len() - offset
    );
    io.write_all(head.as_bytes()).await.unwrap();
    io.write_all(&content[offset..]).await.unwrap();
    let answer = heard(&mut io, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let mut io = TcpStream::connect(at).await.unwrap();
    let request =
        format!("GET {get_path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    timeout(PATIENCE, io.read_to_end(&mut got)).await.unwrap().unwrap();
    assert!(got.ends_with(&content), "the file is whole");
    server.close().await;
}
