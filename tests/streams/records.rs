//! The log says what became of each stanza, and why: one filter, by the id of the stanza, answers it
//! (docs/operations.md).

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;
use waxwing::jid::FullJid;
use waxwing::storage::{MemoryStorage, Storage};

use super::faulty::Faulty;
use super::peer::Peer;
use super::test_server::{PATIENCE, TestServer};

/// A stanza, which has its id, and its records.
type Stanza = (&'static str, &'static str, &'static [&'static str]);

/// What Romeo sends. Juliet is there; Tybalt is offline; Mercutio blocks Romeo.
const CARRIED: &[Stanza] = &[
    (
        "delivered",
        "<message type='chat' to='juliet@localhost' id='ID'><body>secret</body></message>",
        &["delivered sessions=1"],
    ),
    (
        "stored",
        "<message type='chat' to='tybalt@localhost' id='ID'><body>secret</body></message>",
        &["stored until a client comes"],
    ),
    (
        "hint",
        "<message type='chat' to='tybalt@localhost' id='ID'><body>secret</body>\
         <no-store xmlns='urn:xmpp:hints'/></message>",
        &[r#"dropped reason="no session is there for it""#],
    ),
    (
        "blocked",
        "<message type='chat' to='mercutio@localhost' id='ID'><body>secret</body></message>",
        &[r#"bounced condition="service-unavailable" reason="the recipient blocks the sender""#],
    ),
    (
        "nobody",
        "<message type='chat' to='nobody@localhost' id='ID'><body>secret</body></message>",
        &[r#"bounced condition="service-unavailable" reason="no such account""#],
    ),
    (
        "error",
        "<message type='error' to='nobody@localhost' id='ID'><body>secret</body></message>",
        &[r#"dropped reason="no such account""#],
    ),
    (
        "ping",
        "<iq type='get' to='localhost' id='ID'><ping xmlns='urn:xmpp:ping'/></iq>",
        &["answered"],
    ),
    (
        "type",
        "<iq type='secret' to='localhost' id='ID'><ping xmlns='urn:xmpp:ping'/></iq>",
        &[r#"bounced condition="bad-request" reason="invalid iq type""#],
    ),
    (
        "payloads",
        "<iq type='set' to='localhost' id='ID'/>",
        &[r#"bounced condition="bad-request" reason="a request must have exactly one payload""#],
    ),
    (
        "address",
        "<message type='chat' to='@' id='ID'><body>secret</body></message>",
        &[r#"bounced condition="jid-malformed" reason="an address is malformed""#],
    ),
    (
        "result",
        "<iq type='result' to='@' id='ID'/>",
        &[r#"dropped condition="jid-malformed" reason="an address is malformed""#],
    ),
];

#[tokio::test]
async fn each_stanza_has_one_record_that_says_what_became_of_it() {
    let (records, server, _storage) = stage().await;
    let mut juliet = server.online("juliet").await;
    let mut romeo = server.login("romeo").await;
    for (id, stanza, _) in CARRIED {
        romeo.say(stanza.replace("ID", id)).await;
    }
    settled(&mut romeo).await;
    juliet.hears("</message>").await;
    for (id, stanza, expected) in CARRIED {
        assert_eq!(records.of(id), *expected, "{stanza}");
    }
    assert!(!records.all().concat().contains("secret"), "the log has nothing that users write");
    drop((romeo, juliet));
    server.close().await;
}

#[tokio::test]
async fn a_stanza_that_reaches_its_client_late_or_never_says_why() {
    let (records, server, storage) = stage().await;
    let mut juliet = server.online("juliet").await;
    let mut romeo = server.login("romeo").await;
    juliet.enable().await;
    let chat = |to: &str, id: &str| {
        format!("<message type='chat' to='{to}' id='{id}'><body>secret</body></message>")
    };
    romeo.say(chat("juliet@localhost", "unacked")).await;
    juliet.hears("</message>").await;
    assert_eq!(records.of("unacked"), ["delivered sessions=1"]);

    drop(juliet);
    let jid = FullJid::parse("juliet@localhost/juliet").unwrap();
    let is_waiting = || {
        let session = server.server.state().sessions.find(&jid);
        session.is_some_and(|session| session.hibernation().is_some())
    };
    let waits = async {
        while !is_waiting() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waits).await.expect("the session waits for its client");
    romeo.say(chat("juliet@localhost", "queued")).await;
    settled(&mut romeo).await;
    let late = "not delivered at once session=juliet@localhost/juliet \
                reason=\"queued: the client is not connected\"";
    assert_eq!(records.of("queued"), [late, "delivered sessions=1"]);

    // Another client of hers takes the address: the session ends.
    let unread = "not acknowledged: waits for the next client session=juliet@localhost/juliet";
    let mut juliet = server.login("juliet").await;
    records.until(|| records.of("queued").contains(&unread.to_owned())).await;
    assert_eq!(records.of("unacked"), ["delivered sessions=1", unread]);
    assert_eq!(records.of("queued"), [late, "delivered sessions=1", unread]);

    juliet.say("<presence/>").await;
    juliet.hears("id='unacked'").await;
    juliet.hears("id='queued'").await;
    for id in ["unacked", "queued"] {
        let stored = records.of(id).pop().unwrap();
        assert!(stored.starts_with("delivered from the store "), "{stored}");
    }

    storage.fail(true);
    romeo.say(chat("tybalt@localhost", "full")).await;
    romeo.hears("the server's disk is full").await;
    let failed = r#"bounced: not stored condition="resource-constraint""#;
    assert_eq!(records.of("full"), ["stored until a client comes", failed]);
    storage.fail(false);
    drop((romeo, juliet));
    server.close().await;
}

#[tokio::test]
async fn a_stanza_that_ends_its_stream_says_why() {
    let (records, server, _storage) = stage().await;
    let early =
        "<message type='chat' to='juliet@localhost' id='early'><body>secret</body></message>";
    let mut romeo = server.plain().await.authenticated("romeo").await;
    romeo.say(early).await;
    romeo.ends_refused("not-authorized").await;
    let refused = "refused: the stream ends";
    let fields = r#"name="message" kind="chat" from="romeo@localhost" to="juliet@localhost""#;
    let why = r#"id="early" condition="not-authorized" reason=there is no session yet"#;
    assert_eq!(records.of("early"), [format!("{refused} {fields} {why}")]);

    let forged = "<message from='tybalt@localhost' to='juliet@localhost' id='forged'/>";
    let mut romeo = server.login("romeo").await;
    romeo.say(forged).await;
    romeo.ends_refused("invalid-from").await;
    let fields = r#"name="message" from="romeo@localhost/romeo" to="juliet@localhost""#;
    let why = r#"id="forged" condition="invalid-from""#;
    assert_eq!(records.of("forged"), [format!("{refused} {fields} {why}")]);

    // No element was read: the record names the client alone.
    let large = format!("<message id='large'><body>{}</body></message>", "secret".repeat(60_000));
    for (bytes, condition, reason) in [
        (&*large, "policy-violation", " reason=too large: limit of Bytes passed"),
        ("<message id='open'></secret>", "not-well-formed", " reason=xml is not well-formed"),
        ("<other id='other'/>", "unsupported-stanza-type", ""),
    ] {
        let before = records.all().len();
        let mut romeo = server.login("romeo").await;
        romeo.say(bytes).await;
        romeo.ends_refused(condition).await;
        let wanted =
            format!("{refused} from=\"romeo@localhost/romeo\" condition=\"{condition}\"{reason}");
        let found = records.all().split_off(before);
        assert_eq!(found.iter().filter(|line| line.ends_with(&wanted)).count(), 1, "{found:#?}");
    }
    assert!(!records.all().concat().contains("secret"), "the log has nothing that users write");
    server.close().await;
}

/// A server on a disk that can fail, whose log is recorded. Mercutio blocks Romeo.
async fn stage() -> (Records, TestServer, Arc<Faulty>) {
    let records = Records::begin();
    let storage = Arc::new(Faulty::new(MemoryStorage::new()));
    let server = TestServer::on(Arc::clone(&storage) as Arc<dyn Storage>, "").await;
    server.add(&["tybalt", "mercutio"]).await;
    let mut mercutio = server.login("mercutio").await;
    let block = "<iq type='set' id='block'><block xmlns='urn:xmpp:blocking'>\
                 <item jid='romeo@localhost'/></block></iq>";
    mercutio.say(block).await;
    mercutio.hears("type='result'/>").await;
    (records, server, storage)
}

/// All that this client has sent was carried to the end: it was answered later.
async fn settled(client: &mut Peer) {
    client.say("<iq type='get' id='settled'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    client.hears("id='settled' type='result'/>").await;
}

/// The log of this thread, from [`Records::begin`] on.
struct Records {
    log: Log,
    _subscriber: DefaultGuard,
}

#[derive(Clone, Default)]
struct Log(Arc<(Mutex<Vec<String>>, Notify)>);

impl Records {
    fn begin() -> Self {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .without_time()
            .with_writer(log.clone());
        let _subscriber = tracing::subscriber::set_default(subscriber.finish());
        Self { log, _subscriber }
    }

    /// All lines that say what becomes of a stanza.
    fn all(&self) -> Vec<String> {
        let lines = self.log.0.0.lock();
        let is_record = |line: &&String| line.contains("waxwing::stanza: ");
        lines.iter().filter(is_record).map(|line| line.trim_end().to_owned()).collect()
    }

    /// The filter: the records of Romeo's stanza with this id, without its span. An answer of the server has
    /// the same id. The copy in the sender's archive is no end.
    fn of(&self, id: &str) -> Vec<String> {
        let id = format!("id=\"{id}\"");
        let is_wanted = |line: &String| line.contains(&id) && line.contains("from=\"romeo@");
        let lines = self.all().into_iter().filter(is_wanted);
        let ends =
            lines.filter_map(|line| Some(line.split_once("waxwing::stanza: ")?.1.to_owned()));
        ends.filter(|end| !end.starts_with("archived for the sender")).collect()
    }

    /// Waits until something was logged.
    async fn until(&self, is_there: impl Fn() -> bool) {
        let waits = async {
            loop {
                let logged = self.log.0.1.notified();
                if is_there() {
                    return;
                }
                logged.await;
            }
        };
        let came = timeout(PATIENCE, waits).await;
        assert!(came.is_ok(), "it is not logged: {:#?}", self.all());
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl io::Write for Log {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.0.lock().push(String::from_utf8_lossy(record).into_owned());
        self.0.1.notify_one();
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
