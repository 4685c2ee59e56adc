//! Every way in which a stanza may end is in the log, with its reason: one record for each stanza.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::Config;
use crate::host::stanza_log::span;
use crate::host::{Invalidation, Origin, ServerState, block_list, strangers};
use crate::jid::{BareJid, FullJid};
use crate::modules;
use crate::router::Router;
use crate::session::{MailboxLimits, Session, SessionFacts};
use crate::stanza::Stanza;
use crate::storage::{NewAccount, PushDevice, PushRegistration};
use crate::xml::Frame;

const CHAT: &str = "<message type='chat' to='TO' id='x'><body>secret</body></message>";
const NORMAL: &str = "<message to='TO' id='x'><body>secret</body></message>";
const ROOM: &str = "<message type='groupchat' to='TO' id='x'><body>secret</body></message>";
const NEWS: &str = "<message type='headline' to='TO' id='x'><body>secret</body></message>";
const ERROR: &str = "<message type='error' to='TO' id='x'><body>secret</body></message>";
const STATE: &str = "<message type='chat' to='TO' id='x'><active xmlns='http://jabber.org/protocol/chatstates'/></message>";
const PING: &str = "<iq type='get' to='TO' id='x'><ping xmlns='urn:xmpp:ping'/></iq>";
const STRANGE: &str = "<iq type='get' to='TO' id='x'><secret xmlns='urn:a'/></iq>";
const RESULT: &str = "<iq type='result' to='TO' id='x'/>";
const HERE: &str = "<presence id='x' to='TO'/>";
const TO_ALL: &str = "<presence id='x'/>";
const PROBE: &str = "<presence id='x' type='probe'/>";
const SUBSCRIBE: &str = "<presence id='x' type='subscribe' to='TO'/>";

/// A stanza of Romeo's, its recipient, and the record at its end.
const ENDS: &[(&str, &str, &str)] = &[
    (STATE, "romeo@a.example/orchard", "delivered sessions=1"),
    (CHAT, "juliet@a.example", "stored until a client comes"),
    (STATE, "juliet@a.example", r#"dropped reason="no session is there for it""#),
    (
        CHAT,
        "nobody@a.example",
        r#"bounced condition="service-unavailable" reason="no such account""#,
    ),
    (NEWS, "nobody@a.example", r#"dropped reason="no such account""#),
    (
        ROOM,
        "juliet@a.example",
        r#"bounced condition="service-unavailable" reason="groupchat to an account""#,
    ),
    (
        NORMAL,
        "juliet@a.example/gone",
        r#"bounced condition="service-unavailable" reason="no such session""#,
    ),
    (ERROR, "juliet@a.example", r#"dropped reason="an error to an account""#),
    (ERROR, "juliet@a.example/gone", r#"dropped reason="an error to a session that has ended""#),
    (
        CHAT,
        "a.example",
        r#"bounced condition="service-unavailable" reason="nobody reads it there""#,
    ),
    (ERROR, "b.example", r#"dropped condition="remote-server-not-found""#),
    (CHAT, "b.example", r#"bounced condition="remote-server-not-found""#),
    (
        CHAT,
        "tybalt@a.example",
        r#"bounced condition="service-unavailable" reason="the recipient blocks the sender""#,
    ),
    (HERE, "tybalt@a.example", r#"dropped reason="the sender is blocked""#),
    (
        CHAT,
        "rosaline@a.example",
        r#"bounced condition="service-unavailable" reason="the recipient refuses strangers""#,
    ),
    (NEWS, "rosaline@a.example", r#"dropped reason="the recipient refuses strangers""#),
    (SUBSCRIBE, "rosaline@a.example", "done"),
    (PING, "a.example", "answered"),
    (
        STRANGE,
        "a.example",
        r#"bounced condition="service-unavailable" reason="no handler for this request""#,
    ),
    (
        STRANGE,
        "juliet@a.example/gone",
        r#"bounced condition="service-unavailable" reason="the sender may not know whether the recipient is there""#,
    ),
    (RESULT, "a.example", r#"dropped reason="an answer that nothing waits for""#),
    (
        RESULT,
        "juliet@a.example/gone",
        r#"dropped condition="service-unavailable" reason="no such session""#,
    ),
    (TO_ALL, "", "done"),
    (HERE, "juliet@a.example", r#"dropped reason="no session is there for it""#),
    (HERE, "a.example", r#"dropped reason="presence to a domain""#),
    (PROBE, "", r#"dropped reason="a probe or an error to nobody""#),
    (SUBSCRIBE, "romeo@a.example", r#"dropped reason="a subscription to the user's own presence""#),
    (SUBSCRIBE, "nobody@a.example", "done"),
];

#[tokio::test]
async fn each_stanza_ends_with_one_record_that_says_why() {
    let (router, romeo) = router().await;
    for (xml, to, expected) in ENDS {
        let records = send(&router, &romeo, xml, to).await;
        let own: Vec<_> = records
            .iter()
            .filter(|line| line.contains("from=\"romeo@a.example/orchard\""))
            .filter(|line| line.contains("origin=\"client\""))
            .filter(|line| !line.contains("archived for the sender"))
            .collect();
        assert_eq!(own.len(), 1, "{xml} to {to}: {records:#?}");
        assert!(own[0].contains("id=\"x\""), "{}", own[0]);
        assert!(own[0].trim_end().ends_with(&format!("waxwing::stanza: {expected}")), "{}", own[0]);
        assert!(!records.concat().contains("secret"), "{records:#?}");
    }
}

#[tokio::test]
async fn a_message_that_does_not_reach_its_client_at_once_says_why() {
    let (router, romeo) = router().await;
    let balcony = session(&router.server, "juliet@a.example/balcony", 1);
    // It has just been bound: stored messages come first.
    let records = send(&router, &romeo, CHAT, "juliet@a.example/balcony").await.concat();
    let deferred = r#"not delivered at once session=juliet@a.example/balcony reason="deferred: "#;
    assert!(records.contains(deferred), "{records}");
    assert!(
        records.contains("archived for the sender jid=romeo@a.example archive_id="),
        "{records}"
    );
    // Its client reads nothing, and its mailbox has room for one stanza.
    let records = send(&router, &romeo, STATE, "juliet@a.example/balcony").await.concat();
    assert!(!records.contains("not delivered"), "{records}");
    let records = send(&router, &romeo, STATE, "juliet@a.example/balcony").await.concat();
    let full =
        r#"session=juliet@a.example/balcony reason="the mailbox is full: the session is closed""#;
    assert!(records.contains(full), "{records}");
    assert!(records.contains(r#"dropped reason="no session is there for it""#), "{records}");
    drop(balcony);
}

/// A push service says that a registration has ended (XEP-0357 §8); the user wants to hear of it.
#[tokio::test]
async fn the_notice_of_a_push_service_is_no_message_of_a_stranger() {
    const NOTICE: &str = "<message to='TO' id='x'><pubsub \
        xmlns='http://jabber.org/protocol/pubsub' node='phone'><affiliation \
        jid='rosaline@a.example' affiliation='none'/></pubsub></message>";
    let refused = r#"reason="the recipient refuses strangers""#;
    let (router, romeo) = router().await;
    let records = send(&router, &romeo, NOTICE, "rosaline@a.example").await.concat();
    assert!(records.contains(refused), "{records}");
    let rosaline = BareJid::parse("rosaline@a.example").unwrap();
    let registration = PushRegistration {
        service: romeo.handle().jid().clone().into(),
        node: "phone".to_owned(),
        options: None,
        device: PushDevice::Resource("house".to_owned()),
        registered: router.server.clock.now(),
    };
    let push = router.server.storage.push();
    push.register(&rosaline, &registration, 9).await.unwrap();
    router.server.invalidate(&Invalidation::Push(rosaline.clone()));
    let records = send(&router, &romeo, CHAT, "rosaline@a.example").await.concat();
    assert!(records.contains(refused), "{records}");
    let records = send(&router, &romeo, NOTICE, "rosaline@a.example").await.concat();
    assert!(!records.contains(refused), "{records}");
    assert_eq!(push.registrations(&rosaline).await.unwrap(), []);
}

#[test]
fn without_debug_there_is_no_span() {
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(io::sink);
    tracing::subscriber::with_default(subscriber.finish(), || {
        let origin = Some(&Origin::Internal);
        assert!(span(&stanza(CHAT, "juliet@a.example"), origin).is_disabled());
    });
}

/// What is logged because Romeo sends this.
async fn send(router: &Router, romeo: &Session, xml: &str, to: &str) -> Vec<String> {
    let records = Records::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .without_time()
        .with_writer(records.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let origin = Origin::Client(romeo);
    drop(router.from_client(romeo, &origin, stanza(xml, to), None).await);
    let lines = records.0.lock();
    lines.iter().filter(|line| line.contains("waxwing::stanza")).cloned().collect()
}

fn stanza(xml: &str, to: &str) -> Stanza {
    Stanza::read(Frame::from_bytes(xml.replace("TO", to)).unwrap()).unwrap()
}

/// A server with Romeo's session, and accounts for Juliet, for Tybalt, who has blocked Romeo, and for
/// Rosaline, who refuses strangers.
async fn router() -> (Router, Session) {
    let config = Config::parse("[[host]]\ndomain = \"a.example\"", "the test").unwrap();
    let router = Router::for_tests(&["a.example"], modules::registry(&config));
    let server = &router.server;
    for user in ["romeo", "juliet", "tybalt", "rosaline"] {
        let user = BareJid::parse(&format!("{user}@a.example")).unwrap();
        let created = server.clock.now();
        let account = NewAccount { user, keys: Vec::new(), created, admin: false };
        server.storage.accounts().create(&[account]).await.unwrap();
    }
    let tybalt = BareJid::parse("tybalt@a.example").unwrap();
    let documents = server.storage.documents();
    documents.put(&tybalt, block_list::KIND, "romeo@a.example", "").await.unwrap();
    let rosaline = BareJid::parse("rosaline@a.example").unwrap();
    let mut nobody = strangers::Policy::default();
    strangers::Approach::ALL.iter().for_each(|a| nobody.set(*a, strangers::Choice::Refuse));
    strangers::set_policy(&*server.storage, &rosaline, Some(nobody)).await.unwrap();
    let romeo = session(server, "romeo@a.example/orchard", 1000);
    (router, romeo)
}

fn session(server: &ServerState, jid: &str, stanzas: usize) -> Session {
    let facts = SessionFacts::for_tests();
    let bounds = MailboxLimits { stanzas, bytes: 1 << 20 };
    Session::open(Arc::clone(&server.sessions), FullJid::parse(jid).unwrap(), facts, bounds, 9)
}

#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<String>>>);

impl<'a> MakeWriter<'a> for Records {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl io::Write for Records {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.lock().push(String::from_utf8_lossy(record).into_owned());
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
