//! HTTP, and WebSocket below the level of streams: the opening handshake and the frames (RFC 6455),
//! byte by byte. What a client says then is in `tests/scripts/rfc7395/`.

#![expect(clippy::unwrap_used, reason = "functions of tests")]

#[path = "web/fragments.rs"]
mod fragments;
#[path = "web/host_meta.rs"]
mod host_meta;
#[path = "support/pass.rs"]
mod pass;
#[path = "web/proxies.rs"]
mod proxies;
#[path = "web/proxy_protocol.rs"]
mod proxy_protocol;
#[path = "web/sockets.rs"]
mod sockets;
#[path = "web/static_files.rs"]
mod static_files;
#[path = "support/trust.rs"]
mod trust;

use std::time::Duration;

use pass::pass;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::server::Server;
use waxwing::storage::MemoryStorage;
use waxwing::tasks::Tasks;

struct TestServer {
    server: Server,
    tasks: Tasks,
    _data: TempDir,
}

impl TestServer {
    async fn new(options: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let text = format!(
            "[listen]\nc2s = []\nc2s_tls = []\nproxy65 = []\n{options}\n[[host]]\ndomain = \"localhost\"\n\
             [[host]]\ndomain = \"example.org\"\n"
        );
        let mut config = Config::parse(&text, "the test").unwrap();
        data.path().clone_into(&mut config.data);
        let (clock, tasks) = (Clock::system(), Tasks::new());
        let server = Server::start(config, MemoryStorage::new(), clock, tasks.clone());
        Self { server: server.await.unwrap(), tasks, _data: data }
    }

    /// Without listening to any port.
    async fn closed(options: &str) -> Self {
        Self::new(&format!("http = []\nhttps = []\n{options}")).await
    }

    fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        self.server.connect(Box::new(theirs), "http");
        ours
    }

    /// What is answered to this request, up to the end of its head or, if the connection ends, all.
    async fn asked(&self, request: &str) -> (DuplexStream, String) {
        let mut io = self.connect();
        io.write_all(request.as_bytes()).await.unwrap();
        let head = head(&mut io).await;
        (io, head)
    }

    async fn close(self) {
        assert_eq!(self.server.state().metrics.panics.get(), 0);
        assert!(self.tasks.stop(Duration::from_secs(10)).await.is_empty());
    }
}

async fn head(io: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match timeout(PATIENCE, io.read_u8()).await.unwrap() {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// All that comes until the end.
async fn rest(io: &mut DuplexStream) -> Vec<u8> {
    let mut all = Vec::new();
    timeout(PATIENCE, io.read_to_end(&mut all)).await.unwrap().unwrap();
    all
}

fn request(path: &str, more: &[&str]) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", more.concat())
}

/// The request of RFC 6455 §1.2.
fn upgrade(path: &str, more: &[&str]) -> String {
    let usual = [
        "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
    ];
    request(path, &[&usual[..], more].concat())
}

const XMPP: &str = "Sec-WebSocket-Protocol: chat, XMPP\r\n";

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() <= 125);
    let mut frame = vec![first, 0x80 | payload.len() as u8, 1, 2, 3, 4];
    frame.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ (i % 4 + 1) as u8));
    frame
}

const OPEN: &[u8] =
    b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";

#[tokio::test]
async fn a_client_that_speaks_xmpp_gets_a_websocket() {
    let server = TestServer::closed("").await;
    for path in ["/ws", "/ws/", "/xmpp-websocket", "/xmpp-websocket/", "/ws?a=b", "/ws/?x"] {
        let (mut io, head) = server.asked(&upgrade(path, &[XMPP])).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let head = head.to_ascii_lowercase();
        for line in [
            "upgrade: websocket\r\n",
            "connection: upgrade\r\n",
            "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n",
            "sec-websocket-protocol: xmpp\r\n",
        ] {
            assert!(head.contains(line), "{line} is missing in {head}");
        }
        assert!(!head.contains("extensions"), "{head}");
        io.write_all(&masked(0x81, OPEN)).await.unwrap();
        assert_eq!(timeout(PATIENCE, io.read_u8()).await.unwrap().unwrap(), 0x81);
    }
    server.close().await;
}

#[tokio::test]
async fn whoever_is_no_such_client_is_told_why() {
    let server = TestServer::closed("").await;
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let post = upgrade("/ws", &[XMPP]).replace("GET", "POST");
    let old = upgrade("/ws", &[XMPP]).replace("HTTP/1.1", "HTTP/1.0");
    let table = [
        ("no upgrade", request("/ws", &[]), 426),
        ("a form", post, 426),
        ("an old version of HTTP", old, 426),
        ("no subprotocol", upgrade("/ws", &[]), 400),
        ("another subprotocol", upgrade("/ws", &["Sec-WebSocket-Protocol: xmpp2\r\n"]), 400),
        ("no key", upgrade("/ws", &[XMPP]).replace(key, ""), 400),
        ("a bad key", upgrade("/ws", &[XMPP]).replace("dGhl", ""), 400),
        ("an old version", upgrade("/ws", &[XMPP]).replace("Version: 13", "Version: 8"), 426),
        ("another place", upgrade("/", &[XMPP]), 404),
        ("a longer place", upgrade("/ws/x", &[XMPP]), 404),
        ("no HTTP", "<?xml version='1.0'?>\r\n\r\n".to_owned(), 400),
        ("a long head", request(&format!("/{}", "x".repeat(20_000)), &[]), 431),
        ("many lines", request("/", &vec!["X: y\r\n"; 200]), 431),
        ("no host", "GET /ws HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("no host, long ago", "GET /x HTTP/1.0\r\n\r\n".to_owned(), 404),
        ("two hosts", request("/.well-known/host-meta", &["Host: example.org\r\n"]), 400),
        ("no name", request("/", &[]).replace("localhost", "a b"), 400),
        ("two lengths", request("/", &["Content-Length: 1\r\nContent-Length: 2\r\n"]), 400),
    ];
    for (what, request, status) in table {
        let (_, head) = server.asked(&request).await;
        assert_eq!(head.split(' ').nth(1), Some(status.to_string().as_str()), "{what}: {head}");
    }
    server.close().await;
}

#[tokio::test]
async fn a_page_from_elsewhere_is_refused_if_the_administrator_says_so() {
    let any = TestServer::closed("").await;
    let (_, head) = any.asked(&upgrade("/ws", &[XMPP, "Origin: https://b.example\r\n"])).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    any.close().await;
    let server = TestServer::closed("origins = [\"https://Chat.example/\"]").await;
    let table = [
        ("Origin: https://chat.example\r\n", 101),
        ("", 101),
        ("Origin: https://b.example\r\n", 403),
        ("Origin: http://chat.example\r\n", 403),
        ("Origin: https://chat.example:8443\r\n", 403),
        ("Origin: https://chat.example:443\r\n", 101),
        ("Origin: HTTPS://CHAT.example\r\n", 101),
        ("Origin: https://chat.example.b.example\r\n", 403),
        ("Origin: https://chat.example https://b.example\r\n", 403),
        ("Origin: https://chat.example\r\nOrigin: https://b.example\r\n", 403),
        ("Origin: null\r\n", 403),
    ];
    for (origin, status) in table {
        let (_, head) = server.asked(&upgrade("/ws", &[XMPP, origin])).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{origin}: {head}");
    }
    server.close().await;
    let server = TestServer::closed("origins = [\"http://a.example:80/\", \"null\"]").await;
    for (origin, status) in [("http://A.example", 101), ("null", 101), ("https://a.example", 403)] {
        let line = format!("Origin: {origin}\r\n");
        let (_, head) = server.asked(&upgrade("/ws", &[XMPP, &line])).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{origin}: {head}");
    }
    server.close().await;
}

#[tokio::test]
async fn what_came_with_the_handshake_counts_and_so_does_every_byte_alone() {
    let server = TestServer::closed("").await;
    for at_once in [1, 1000] {
        let mut io = server.connect();
        let all = [upgrade("/ws", &[XMPP]).as_bytes(), &masked(0x81, OPEN)].concat();
        for part in all.chunks(at_once) {
            io.write_all(part).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(head(&mut io).await.starts_with("HTTP/1.1 101 "));
        assert_eq!(timeout(PATIENCE, io.read_u8()).await.unwrap().unwrap(), 0x81);
    }
    server.close().await;
}

#[tokio::test]
async fn pings_are_answered_and_faults_close_with_their_code() {
    let server = TestServer::closed("").await;
    let (mut io, _) = server.asked(&upgrade("/ws", &[XMPP])).await;
    io.write_all(&masked(0x89, b"there?")).await.unwrap();
    let mut pong = [0; 8];
    timeout(PATIENCE, io.read_exact(&mut pong)).await.unwrap().unwrap();
    assert_eq!(pong, *b"\x8a\x06there?");
    let table: &[(&str, &[u8], u16)] = &[
        ("unmasked", b"\x81\x01x", 1002),
        ("an extension", &masked(0xc1, b"x"), 1002),
        ("bytes", &masked(0x82, b"x"), 1003),
        ("no text", &masked(0x81, b"<a>\xff</a>"), 1007),
        ("no text, and it goes on", &masked(0x01, b"<a>\xc0\xaf"), 1007),
        ("half a character", &masked(0x81, b"\xe2\x82"), 1007),
        ("a character in two parts", &parts(b"\xed", b"\xa0\x80"), 1007),
        ("a reason that is no text", &masked(0x88, b"\x03\xe8\xff"), 1007),
        ("good-bye", &masked(0x88, b""), 1000),
        ("good-bye, gone", &masked(0x88, b"\x03\xe9"), 1001),
        ("a code that is never sent", &masked(0x88, b"\x03\xed"), 1002),
    ];
    for (what, frame, code) in table {
        let (mut io, _) = server.asked(&upgrade("/ws", &[XMPP])).await;
        io.write_all(frame).await.unwrap();
        let [high, low] = code.to_be_bytes();
        assert_eq!(rest(&mut io).await, [0x88, 2, high, low], "{what}");
    }
    server.close().await;
}

/// A message of two fragments.
fn parts(first: &[u8], second: &[u8]) -> Vec<u8> {
    [masked(0x01, first), masked(0x80, second)].concat()
}

#[tokio::test]
async fn clients_are_sent_elsewhere_if_the_administrator_says_so() {
    let server = TestServer::closed("see_other_uri = \"wss://new.example/ws?a&b\"").await;
    let (mut io, _) = server.asked(&upgrade("/ws", &[XMPP])).await;
    io.write_all(&masked(0x81, OPEN)).await.unwrap();
    let said = rest(&mut io).await;
    let text = String::from_utf8_lossy(&said).into_owned();
    let close = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing' \
                 see-other-uri='wss://new.example/ws?a&amp;b'/>";
    assert!(text.contains("<open ") && text.contains(close), "{text}");
    assert!(said.ends_with(&[0x88, 2, 0x03, 0xe8]), "{text}");
    let elsewhere =
        "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='x.example' version='1.0'/>";
    let nowhere = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' version='1.0'/>";
    for (first, condition) in [
        ("<message xmlns='jabber:client'/>", "bad-format"),
        ("<open xmlns='urn:x' to='localhost' version='1.0'/>", "invalid-namespace"),
        (elsewhere, "host-unknown"),
        (nowhere, "improper-addressing"),
    ] {
        let (mut io, _) = server.asked(&upgrade("/ws", &[XMPP])).await;
        io.write_all(&masked(0x81, first.as_bytes())).await.unwrap();
        let said = String::from_utf8_lossy(&rest(&mut io).await).into_owned();
        assert!(!said.contains("see-other-uri"), "{said}");
        assert!(said.contains(&format!("<{condition} ")) && said.contains("<close "), "{said}");
    }
    server.close().await;
}

#[tokio::test]
async fn a_message_in_parts_is_one_message() {
    let server = TestServer::closed("").await;
    let (mut io, _) = server.asked(&upgrade("/ws", &[XMPP])).await;
    let (begin, end) = OPEN.split_at(40);
    io.write_all(&masked(0x01, begin)).await.unwrap();
    io.write_all(&masked(0x89, b"")).await.unwrap();
    let mut pong = [0; 2];
    timeout(PATIENCE, io.read_exact(&mut pong)).await.unwrap().unwrap();
    assert_eq!(pong, [0x8a, 0]);
    io.write_all(&masked(0x80, end)).await.unwrap();
    assert_eq!(timeout(PATIENCE, io.read_u8()).await.unwrap().unwrap(), 0x81);
    server.close().await;
}

/// Reads until this comes.
async fn hear(io: &mut DuplexStream, wanted: &str) -> String {
    let mut all = Vec::new();
    while !String::from_utf8_lossy(&all).contains(wanted) {
        let count = timeout(PATIENCE, io.read_buf(&mut all)).await.unwrap().unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&all));
    }
    String::from_utf8_lossy(&all).into_owned()
}

async fn log_in(server: &TestServer) -> DuplexStream {
    log_in_as(server).await.0
}

/// A new session, and its address.
async fn log_in_as(server: &TestServer) -> (DuplexStream, String) {
    let (mut io, _) = server.asked(&upgrade("/ws", &[XMPP])).await;
    io.write_all(&masked(0x81, OPEN)).await.unwrap();
    hear(&mut io, "features").await;
    let auth = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>";
    io.write_all(&masked(0x81, auth)).await.unwrap();
    hear(&mut io, "<success").await;
    io.write_all(&masked(0x81, OPEN)).await.unwrap();
    let bind = "<iq xmlns='jabber:client' type='set' id='b'>\
                <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    io.write_all(&masked(0x81, bind.as_bytes())).await.unwrap();
    let bound = hear(&mut io, "</iq>").await;
    let jid = bound.split_once("<jid>").unwrap().1.split('<').next().unwrap().to_owned();
    (io, jid)
}

const SILENCE: &str = "[auth]\nanonymous = true\n[limits]\nsilence = '30 s'\nping_answer = '5 s'\n";

#[tokio::test(start_paused = true)]
async fn control_frames_are_signs_of_life() {
    let server = TestServer::closed(SILENCE).await;
    let mut io = log_in(&server).await;
    for _ in 0..5 {
        pass(Duration::from_secs(20)).await;
        io.write_all(&masked(0x89, b"?")).await.unwrap();
        assert_eq!(hear(&mut io, "?").await, "\u{fffd}\u{1}?", "a pong and nothing before it");
        pass(Duration::from_secs(20)).await;
        io.write_all(&masked(0x8a, b"")).await.unwrap();
    }
    pass(Duration::from_secs(29)).await;
    io.write_all(&masked(0x89, b"?")).await.unwrap();
    assert_eq!(hear(&mut io, "?").await, "\u{fffd}\u{1}?", "pongs are, too");
    pass(Duration::from_secs(31)).await;
    let mut ping = [0; 2];
    timeout(PATIENCE, io.read_exact(&mut ping)).await.unwrap().unwrap();
    assert_eq!(ping, [0x89, 0], "a ping of WebSocket");
    // Its answer is a sign of life, too.
    io.write_all(&masked(0x8a, b"")).await.unwrap();
    pass(Duration::from_secs(29)).await;
    io.write_all(&masked(0x89, b"?")).await.unwrap();
    assert_eq!(hear(&mut io, "?").await, "\u{fffd}\u{1}?");
    pass(Duration::from_secs(36)).await;
    assert!(rest(&mut io).await.starts_with(&[0x89, 0]), "it is lost");
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_of_a_message_that_never_ends_is_no_sign_of_life() {
    let server = TestServer::closed(SILENCE).await;
    let begun = masked(0x01, b"<message xmlns='jabber:client'><body>");
    let more: [&[u8]; 3] = [&masked(0x00, b"x"), &masked(0x89, b""), b"\0"];
    for more in more {
        let mut io = log_in(&server).await;
        let since = tokio::time::Instant::now();
        io.write_all(&begun).await.unwrap();
        if more == b"\0" {
            // A frame that is announced and comes byte by byte.
            io.write_all(&masked(0x80, &[b'x'; 125])[..6]).await.unwrap();
        }
        let mut all = Vec::new();
        for _ in 0..20 {
            pass(Duration::from_secs(5)).await;
            if io.write_all(more).await.is_err() {
                break;
            }
        }
        while let Ok(count) = timeout(PATIENCE, io.read_buf(&mut all)).await.unwrap()
            && count > 0
        {}
        assert!(all.windows(2).any(|frame| frame == [0x89, 0]), "a ping");
        assert!(since.elapsed() < Duration::from_secs(50), "{more:?}");
    }
    server.close().await;
}

#[tokio::test]
async fn a_server_that_ends_says_so_and_waits_for_nobody() {
    let server = TestServer::closed("").await;
    let (mut io, _) = server.asked(&upgrade("/ws", &[XMPP])).await;
    io.write_all(&masked(0x81, OPEN)).await.unwrap();
    assert_eq!(timeout(PATIENCE, io.read_u8()).await.unwrap().unwrap(), 0x81);
    let mut silent = server.connect();
    let mut half = server.connect();
    half.write_all(b"GET / HT").await.unwrap();
    assert!(server.tasks.stop(Duration::from_secs(10)).await.is_empty());
    let last = String::from_utf8_lossy(&rest(&mut io).await).into_owned();
    assert!(
        last.contains("<system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"),
        "{last}"
    );
    assert!(last.contains("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"), "{last}");
    assert_eq!(rest(&mut silent).await, b"");
    drop(half);
}

/// Reads to the end, and answers when that was.
async fn end(mut io: DuplexStream) -> Duration {
    let begun = tokio::time::Instant::now();
    let mut all = Vec::new();
    io.read_to_end(&mut all).await.unwrap();
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_idle_or_slow_is_closed_in_its_own_time() {
    let server = TestServer::closed("[limits]\nnegotiation = '60 min'").await;
    let silent = server.connect();
    let (idle, head) = server.asked(&request("/", &[])).await;
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    let mut slow = server.connect();
    slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let (silent, idle, slow) = tokio::join!(end(silent), end(idle), end(slow));
    for took in [silent, idle, slow] {
        assert!(took >= Duration::from_secs(14) && took < Duration::from_secs(16), "{took:?}");
    }
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_requests_lives_longer_than_a_negotiation() {
    let server = TestServer::closed("[limits]\nnegotiation = '5 s'").await;
    let mut io = server.connect();
    for _ in 0..10 {
        io.write_all(request("/", &[]).as_bytes()).await.unwrap();
        let answer = head(&mut io).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        pass(Duration::from_secs(3)).await;
    }
    // The negotiation of a client begins with the upgrade.
    io.write_all(upgrade("/ws", &[XMPP]).as_bytes()).await.unwrap();
    assert!(head(&mut io).await.starts_with("HTTP/1.1 101 "));
    let begun = tokio::time::Instant::now();
    pass(Duration::from_secs(4)).await;
    io.write_all(&masked(0x81, OPEN)).await.unwrap();
    hear(&mut io, "features").await;
    hear(&mut io, "<connection-timeout").await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(6), "{took:?}");
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_and_does_not_read_is_given_up() {
    let server = TestServer::closed("[limits]\nwrite = '20 s'").await;
    let mut io = server.connect();
    let all = request("/", &[]).repeat(10_000);
    let begun = tokio::time::Instant::now();
    // Until both directions are full; then the server closes.
    io.write_all(all.as_bytes()).await.unwrap_err();
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(20) && took < Duration::from_secs(21), "{took:?}");
    server.close().await;
}

const PATIENCE: Duration = Duration::from_secs(10);
