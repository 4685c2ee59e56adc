//! BOSH (XEP-0124) below the level of streams: requests and answers, word by word. What a client says then
//! is in the conversations that run as `bosh/…`.

#![expect(clippy::unwrap_used, reason = "functions of tests")]

#[path = "bosh/end.rs"]
mod end;
#[path = "bosh/operator.rs"]
mod operator;
#[path = "support/pass.rs"]
mod pass;
#[path = "bosh/slow.rs"]
mod slow;

use std::time::Duration;

use pass::pass;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, timeout};
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

/// The head and the body of an answer.
#[derive(Debug)]
struct Answer {
    head: String,
    body: String,
}

impl TestServer {
    async fn new(options: &str) -> Self {
        Self::with_listen(&format!("\n{options}")).await
    }

    /// With these options of `[listen]`, and more sections behind them.
    async fn with_listen(options: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let text = format!(
            "[listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n{options}\n"
        );
        let mut config = Config::parse(&text, "the test").unwrap();
        data.path().clone_into(&mut config.data);
        let (clock, tasks) = (Clock::system(), Tasks::new());
        let server = Server::start(config, MemoryStorage::new(), clock, tasks.clone());
        Self { server: server.await.unwrap(), tasks, _data: data }
    }

    /// Begins a request, on a connection of its own.
    async fn begin(&self, request: &str) -> DuplexStream {
        let (mut ours, theirs) = tokio::io::duplex(1 << 20);
        self.server.connect(Box::new(theirs), "http");
        ours.write_all(request.as_bytes()).await.unwrap();
        ours
    }

    async fn ask(&self, request: &str) -> Answer {
        read(self.begin(request).await).await
    }

    /// Sends a `<body/>` with these attributes.
    async fn send(&self, attributes: &str, inside: &str) -> Answer {
        self.ask(&post(&body(attributes, inside), "")).await
    }

    /// A session whose stream is open: its id. Its first request was 100.
    async fn session(&self, more: &str) -> String {
        let answer = self.send(&format!("rid='100' to='localhost' {more}"), "").await;
        answer.attribute("sid").unwrap()
    }

    async fn close(self) {
        assert_eq!(self.server.state().metrics.panics.get(), 0);
        assert!(self.tasks.stop(Duration::from_secs(10)).await.is_empty());
    }
}

impl Answer {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or("")
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn attribute(&self, name: &str) -> Option<String> {
        let tag = self.body.split('>').next().unwrap();
        let (_, after) = tag.split_once(&format!(" {name}='"))?;
        Some(after.split('\'').next().unwrap().to_owned())
    }

    fn condition(&self) -> Option<String> {
        assert_eq!(self.attribute("type").as_deref(), Some("terminate"), "{self:?}");
        self.attribute("condition")
    }
}

async fn read(mut io: DuplexStream) -> Answer {
    let mut all = Vec::new();
    timeout(PATIENCE, io.read_to_end(&mut all)).await.unwrap().unwrap();
    let all = String::from_utf8(all).unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
    Answer { head: head.to_owned(), body: body.to_owned() }
}

fn body(attributes: &str, inside: &str) -> String {
    format!(
        "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' \
         {attributes}>{inside}</body>"
    )
}

fn post(body: &str, more: &str) -> String {
    format!(
        "POST /http-bind HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_session_begins_with_its_terms_and_the_features() {
    let server = TestServer::new("").await;
    let asked = "rid='100' to='localhost' ver='1.6' wait='5' hold='1' xml:lang='en' \
                 xmpp:version='1.0'";
    for path in ["/http-bind", "/http-bind/", "/bosh", "/bosh/"] {
        let request = post(&body(asked, ""), "").replace("/http-bind", path);
        let answer = server.ask(&request).await;
        assert_eq!(answer.status(), "200", "{answer:?}");
        let table = [
            ("content-type", "text/xml; charset=utf-8"),
            ("access-control-allow-origin", "*"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("content-length", &answer.body.len().to_string()),
        ];
        for (name, value) in table {
            assert_eq!(answer.header(name), Some(value), "{answer:?}");
        }
        let table = [
            ("xmlns", "http://jabber.org/protocol/httpbind"),
            ("xmlns:stream", "http://etherx.jabber.org/streams"),
            ("wait", "5"),
            ("hold", "1"),
            ("requests", "2"),
            ("inactivity", "60"),
            ("polling", "5"),
            ("maxpause", "120"),
            ("ver", "1.6"),
            ("ack", "100"),
            ("from", "localhost"),
            ("secure", "true"),
            ("xmpp:version", "1.0"),
            ("xmpp:restartlogic", "true"),
        ];
        for (name, value) in table {
            assert_eq!(answer.attribute(name).as_deref(), Some(value), "{name}: {answer:?}");
        }
        assert_eq!(answer.attribute("sid").unwrap().len(), 22);
        assert_ne!(answer.attribute("sid"), answer.attribute("authid"));
        assert_eq!(answer.attribute("stream"), None, "one stream a session");
        assert!(answer.body.contains("<mechanism>SCRAM-SHA-256</mechanism>"), "{answer:?}");
        assert!(!answer.body.contains("-PLUS") && !answer.body.contains("starttls"));
    }
    server.close().await;
}

#[tokio::test]
async fn who_begins_no_session_is_told_why() {
    let server = TestServer::new("").await;
    let table = [
        ("no domain", "rid='1' ver='1.6'", "improper-addressing"),
        ("another domain", "rid='1' ver='1.6' to='elsewhere.example'", "host-unknown"),
        ("an account", "rid='1' ver='1.6' to='romeo@localhost'", "host-unknown"),
        ("no domain at all", "rid='1' ver='1.6' to='@'", "host-unknown"),
        ("no number", "ver='1.6' to='localhost'", "bad-request"),
        ("a bad number", "rid='x' ver='1.6' to='localhost'", "bad-request"),
        ("a number too large", "rid='9007199254740991' ver='1.6' to='localhost'", "bad-request"),
        ("a bad wait", "rid='1' ver='1.6' to='localhost' wait='-5'", "bad-request"),
        ("a bad key", "rid='1' ver='1.6' to='localhost' newkey='0'", "bad-request"),
        ("a session of nobody", "rid='1' ver='1.6' sid='nobody'", "item-not-found"),
        (
            "an old version",
            "rid='1' ver='1.6' to='localhost' xmpp:version='0.9'",
            "remote-stream-error",
        ),
        ("a foreign sender", "rid='1' ver='1.6' to='localhost' from='a@b'", "remote-stream-error"),
    ];
    for (what, attributes, condition) in table {
        let answer = server.send(attributes, "").await;
        assert_eq!(answer.status(), "200", "{what}: {answer:?}");
        assert_eq!(answer.condition().as_deref(), Some(condition), "{what}: {answer:?}");
    }
    // XEP-0124 §17.1: an old client.
    let answer = server.send("rid='x' to='localhost'", "").await;
    assert_eq!((answer.status(), answer.body.as_str()), ("400", ""));
    let malformed = [
        "",
        "no xml",
        "<body/>",
        "<body xmlns='jabber:client' rid='1'/>",
        &body("rid='1'", "text"),
        &body("rid='1'", "<!-- -->"),
        &body("rid='1'", "<a>"),
        "<!DOCTYPE body [<!ENTITY a 'b'>]><body xmlns='http://jabber.org/protocol/httpbind'/>",
    ];
    for text in malformed {
        let answer = server.ask(&post(text, "")).await;
        assert_eq!(answer.condition().as_deref(), Some("bad-request"), "{text}: {answer:?}");
    }
    server.close().await;
}

#[tokio::test]
async fn pages_may_send_requests_from_where_the_administrator_says() {
    let server = TestServer::new("").await;
    let options = "OPTIONS /http-bind HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                   Origin: https://chat.example\r\nAccess-Control-Request-Method: POST\r\n\
                   Access-Control-Request-Headers: content-type\r\n\r\n";
    let answer = server.ask(options).await;
    assert_eq!(answer.status(), "204");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("POST, OPTIONS"));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("Content-Type"));
    let get = server.ask(&options.replace("OPTIONS", "GET")).await;
    assert_eq!(get.status(), "405");
    server.close().await;
    let server = TestServer::with_listen("origins = [\"https://chat.example\"]").await;
    for (origin, status) in [("https://chat.example", "200"), ("https://b.example", "403")] {
        let line = format!("Origin: {origin}\r\n");
        let asked = post(&body("rid='1' to='localhost' ver='1.6'", ""), &line);
        let asked = [asked, options.replace("https://chat.example", origin)];
        for (asked, status) in
            std::iter::zip(asked, [status, if status == "200" { "204" } else { status }])
        {
            let answer = server.ask(&asked).await;
            assert_eq!(answer.status(), status, "{origin}");
            // The page may read why.
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        }
    }
    server.close().await;
    let server = TestServer::with_listen("proxies = [\"192.0.2.1\"]").await;
    let answer = server.send("rid='1' to='localhost'", "").await;
    assert_eq!(answer.status(), "403", "no TLS");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    server.close().await;
}

#[tokio::test]
async fn the_client_chooses_the_type_of_answers_and_no_browser_shows_them() {
    let server = TestServer::new("").await;
    let table = [
        ("text/html; charset=utf-8", "text/html; charset=utf-8"),
        ("x&#10;Set-Cookie: a=b", "text/xml; charset=utf-8"),
    ];
    for (content, expected) in table {
        let more = format!("ver='1.6' wait='0' content='{content}'");
        let begun = server.send(&format!("rid='100' to='localhost' {more}"), "").await;
        let sid = begun.attribute("sid").unwrap();
        let next = server.send(&format!("rid='101' sid='{sid}'"), "").await;
        for answer in [begun, next] {
            assert_eq!(answer.header("content-type"), Some(expected), "{answer:?}");
            assert_eq!(answer.header("set-cookie"), None);
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            let policy = answer.header("content-security-policy").unwrap();
            assert!(policy.contains("sandbox") && policy.contains("default-src 'none'"));
        }
    }
    server.close().await;
}

#[tokio::test]
async fn an_error_of_the_stream_is_passed_on() {
    let server = TestServer::new("").await;
    let sid = server.session("ver='1.6'").await;
    let answer = server.send(&format!("rid='101' sid='{sid}'"), "<message/>").await;
    assert_eq!(answer.condition().as_deref(), Some("remote-stream-error"), "{answer:?}");
    assert!(answer.body.contains("<stream:error"), "{answer:?}");
    assert!(answer.body.contains("<not-authorized "), "{answer:?}");
    assert_eq!(
        answer.attribute("xmlns:stream").as_deref(),
        Some("http://etherx.jabber.org/streams")
    );
    let after = server.send(&format!("rid='102' sid='{sid}'"), "").await;
    assert_eq!(after.condition().as_deref(), Some("item-not-found"));
    // Bad XML in a session ends it.
    let sid = server.session("ver='1.6'").await;
    let answer = server.send(&format!("rid='101' sid='{sid}'"), "<a></b>").await;
    assert_eq!(answer.condition().as_deref(), Some("bad-request"), "{answer:?}");
    let after = server.send(&format!("rid='101' sid='{sid}'"), "").await;
    assert_eq!(after.condition().as_deref(), Some("item-not-found"));
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_as_long_as_the_client_says() {
    let server = TestServer::new("").await;
    let sid = server.session("ver='1.6' wait='20'").await;
    let begun = Instant::now();
    let answer = server.send(&format!("rid='101' sid='{sid}'"), "").await;
    assert_eq!(begun.elapsed().as_secs(), 20);
    assert_eq!(answer.body, "<body xmlns='http://jabber.org/protocol/httpbind'/>");
    // The next request answers the one before.
    let held = server.begin(&post(&body(&format!("rid='102' sid='{sid}'"), ""), "")).await;
    pass(Duration::from_secs(6)).await;
    let begun = Instant::now();
    let next = server.begin(&post(&body(&format!("rid='103' sid='{sid}'"), ""), "")).await;
    assert_eq!(read(held).await.attribute("ack").as_deref(), Some("103"));
    assert_eq!(begun.elapsed().as_secs(), 0);
    assert_eq!(read(next).await.attribute("ack"), None);
    assert_eq!(begun.elapsed().as_secs(), 20);
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stays_away_has_no_session_any_more() {
    let server =
        TestServer::new("[limits]\nbosh_inactivity = \"30 s\"\nnegotiation = \"10 min\"").await;
    let table =
        [("", 29, true), ("", 32, false), ("pause='100'", 99, true), ("pause='100'", 102, false)];
    for (pause, seconds, is_there) in table {
        let sid = server.session("ver='1.6' wait='1'").await;
        let answer = server.send(&format!("rid='101' sid='{sid}' {pause}"), "").await;
        assert_eq!(answer.attribute("type"), None, "{answer:?}");
        pass(Duration::from_secs(seconds)).await;
        let answer = server.send(&format!("rid='102' sid='{sid}'"), "").await;
        let expected = if is_there { None } else { Some("terminate".to_owned()) };
        assert_eq!(answer.attribute("type"), expected, "{pause} {seconds}: {answer:?}");
    }
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_pauses_is_not_taken_for_dead() {
    let server = TestServer::new(
        "[auth]\nanonymous = true\n[limits]\nsilence = \"30 s\"\nping_answer = \"5 s\"\nbosh_pause = \"5 min\"",
    )
    .await;
    let sid = server.session("ver='1.6' wait='1'").await;
    let restart = "xmpp:restart='true'";
    let bind = "<iq xmlns='jabber:client' type='set' id='b'>\
                <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    let steps = [
        ("", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>"),
        (restart, ""),
        ("", bind),
        ("pause='300'", ""),
    ];
    for (rid, (more, inside)) in (101..).zip(steps) {
        let answer = server.send(&format!("rid='{rid}' sid='{sid}' {more}"), inside).await;
        assert_eq!(answer.attribute("type"), None, "{answer:?}");
    }
    pass(Duration::from_secs(299)).await;
    let answer = server.send(&format!("rid='105' sid='{sid}'"), "").await;
    assert_eq!(answer.attribute("type"), None, "{answer:?}");
    assert!(!answer.body.contains("urn:xmpp:ping"), "nothing has waited: {answer:?}");
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_never_comes_does_not_hold_the_next_one_for_ever() {
    let server =
        TestServer::new("[limits]\nbosh_inactivity = \"30 s\"\nnegotiation = \"10 min\"").await;
    let sid = server.session("ver='1.6' wait='20'").await;
    let begun = Instant::now();
    let answer = server.send(&format!("rid='102' sid='{sid}'"), "").await;
    assert_eq!(answer.condition().as_deref(), Some("item-not-found"), "{answer:?}");
    let took = begun.elapsed().as_secs();
    assert!((29..=31).contains(&took), "{took}");
    server.close().await;
}

/// XEP-0124 §16: the server offers no `stream` when a session begins, so a client has no second one. What an old
/// client sends of that in a session means nothing.
#[tokio::test]
async fn there_is_one_stream_in_a_session() {
    let server = TestServer::new("").await;
    let sid = server.session("ver='1.6' wait='1'").await;
    let login = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='NONE'/>";
    let extra = "to='elsewhere.example' stream='two' from='a@b' route='xmpp:x:1' hold='9' wait='900' \
                 content='text/html' ver='9.9' xml:lang='de' secure='true' new='thing'";
    let answer = server.send(&format!("rid='101' sid='{sid}' {extra}"), login).await;
    assert_eq!(answer.attribute("type"), None, "{answer:?}");
    assert_eq!(answer.attribute("stream"), None, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/xml; charset=utf-8"));
    assert!(answer.body.contains("<invalid-mechanism"), "{answer:?}");
    // The terms are those of the beginning.
    let begun = Instant::now();
    let answer = server.send(&format!("rid='102' sid='{sid}' stream='two'"), "").await;
    assert_eq!(answer.body, "<body xmlns='http://jabber.org/protocol/httpbind'/>");
    assert!(begun.elapsed() < Duration::from_secs(60));
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_is_noticed_and_its_request_may_come_again() {
    let server = TestServer::new("").await;
    let sid = server.session("ver='1.6' wait='20'").await;
    let request = post(&body(&format!("rid='101' sid='{sid}'"), ""), "");
    drop(server.begin(&request).await);
    pass(Duration::from_secs(10)).await;
    // Its answer, in which nothing could be lost, can be asked for.
    let empty = "<body xmlns='http://jabber.org/protocol/httpbind'/>";
    assert_eq!(server.ask(&request).await.body, empty);
    let request = post(&body(&format!("rid='102' sid='{sid}'"), ""), "");
    let again = server.begin(&request).await;
    pass(Duration::from_secs(1)).await;
    // §14.3: a request that is still held.
    let third = server.begin(&request).await;
    assert_eq!(read(again).await.attribute("type").as_deref(), Some("error"));
    let last = read(third).await;
    assert_eq!(last.body, empty);
    assert_eq!(server.ask(&request).await.body, last.body);
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn sessions_of_strangers_are_counted_and_end() {
    let options = "[limits]\nconnections_per_address = 3\nnegotiation = \"20 s\"";
    let server = TestServer::new(options).await;
    let asked = "rid='100' to='localhost' ver='1.6' wait='1'";
    for _ in 0..3 {
        assert!(server.send(asked, "").await.attribute("sid").is_some());
    }
    let refused = server.send(asked, "").await;
    assert_eq!(refused.condition().as_deref(), Some("policy-violation"));
    // Nobody has logged in, and nobody asks how it went.
    pass(Duration::from_secs(120)).await;
    assert!(server.send(asked, "").await.attribute("sid").is_some());
    assert_eq!(server.server.state().budgets.connections.open(), 1);
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_requests_that_are_held_or_half_there_leave_nothing() {
    let server = TestServer::new("[limits]\nnegotiation = \"20 s\"").await;
    let whole = post(&body("rid='100' to='localhost' ver='1.6'", ""), "");
    let mut open = Vec::new();
    for i in 0..10_000 {
        let end = if i % 100 == 0 { whole.len() } else { 1 + i % (whole.len() - 1) };
        open.push(server.begin(&whole[..end]).await);
    }
    pass(Duration::from_secs(1)).await;
    // Somebody else is served meanwhile.
    assert!(server.send("rid='100' to='localhost' ver='1.6'", "").await.attribute("sid").is_some());
    drop(open);
    pass(Duration::from_secs(150)).await;
    assert_eq!(server.server.state().budgets.connections.open(), 0);
    assert_eq!(server.server.state().metrics.connections.get(), 0);
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_server_is_told() {
    let server = TestServer::new("").await;
    let sid = server.session("ver='1.6'").await;
    let held = server.begin(&post(&body(&format!("rid='101' sid='{sid}'"), ""), "")).await;
    pass(Duration::from_secs(1)).await;
    assert!(server.tasks.stop(Duration::from_secs(10)).await.is_empty());
    let answer = read(held).await;
    assert_eq!(answer.condition().as_deref(), Some("remote-stream-error"), "{answer:?}");
    assert!(answer.body.contains("<system-shutdown "), "{answer:?}");
}
