//! The log says what became of each stanza, and why: one filter, by the id of the stanza, answers it
//! (docs/operations.md).

use std::sync::Arc;

use tokio::time::timeout;
use waxwing::jid::FullJid;
use waxwing::storage::{MemoryStorage, Storage};

use super::faulty::Faulty;
use super::peer::Peer;
use super::recorder::Records;
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

#[tokio::test]
async fn what_a_room_or_a_service_drops_says_why() {
    let (records, server, _storage) = stage().await;
    let mut romeo = server.login("romeo").await;
    let mut juliet = server.login("juliet").await;
    let enter = |nick: &str| {
        let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
        format!("<presence to='garden@conference.localhost/{nick}'>{x}</presence>")
    };
    romeo.say(enter("romeo")).await;
    romeo.hears("<subject").await;
    let open = "<iq type='set' id='open' to='garden@conference.localhost'>\
                <query xmlns='http://jabber.org/protocol/muc#owner'>\
                <x xmlns='jabber:x:data' type='submit'/></query></iq>";
    romeo.say(open).await;
    romeo.hears("id='open'").await;
    juliet.say(enter("juliet")).await;
    juliet.hears("<subject").await;
    let groupchat = |id: &str| {
        let body = "<body>secret</body>";
        format!(
            "<message type='groupchat' to='garden@conference.localhost' id='{id}'>{body}</message>"
        )
    };
    romeo.say(groupchat("heard")).await;
    juliet.hears("id='heard'").await;
    juliet
        .say(
            "<iq type='set' id='block'><block xmlns='urn:xmpp:blocking'>\
             <item jid='garden@conference.localhost/romeo'/></block></iq>",
        )
        .await;
    juliet.hears("id='block' type='result'/>").await;
    romeo.say(groupchat("blocked")).await;
    let form = "<x xmlns='jabber:x:data' type='cancel'><field var='FORM_TYPE'>\
                <value>http://jabber.org/protocol/pubsub#subscribe_authorization</value></field></x>";
    for stanza in [
        "<iq type='result' to='garden@conference.localhost/juliet' id='unasked'/>",
        "<message type='error' to='garden@conference.localhost' id='nothing'/>",
        "<message type='error' to='nowhere@conference.localhost' id='nowhere'/>",
        &*format!("<message to='pubsub.localhost' id='cancel'>{form}</message>"),
    ] {
        romeo.say(stanza).await;
    }
    settled(&mut romeo).await;
    assert_eq!(records.of("heard"), ["handed over"]);
    let blocked = "not delivered session=juliet@localhost/juliet \
                   reason=\"the user blocks the room or the occupant\"";
    assert_eq!(records.of("blocked"), [blocked, "handed over"]);
    let why = |id: &str| {
        let [record] = <[String; 1]>::try_from(records.of(id)).unwrap();
        record.strip_prefix("dropped reason=").unwrap_or_else(|| panic!("{record}")).to_owned()
    };
    assert_eq!(why("unasked"), "\"an answer that nobody in the room waits for\"");
    assert_eq!(why("nothing"), "\"it changes nothing in the room\"");
    assert!(["\"nobody is in the room\"", "\"there is no such room\""].contains(&&*why("nowhere")));
    assert_eq!(why("cancel"), "\"the owner has cancelled the form\"");
    drop((romeo, juliet));
    server.close().await;
}

/// XEP-0352: what is dropped for a client at which nobody looks was not delivered.
#[tokio::test]
async fn what_a_client_in_a_pocket_does_not_get_says_why() {
    let (records, server, _storage) = stage().await;
    let mut juliet = server.online("juliet").await;
    let mut romeo = server.login("romeo").await;
    juliet.say("<inactive xmlns='urn:xmpp:csi:0'/>").await;
    settled(&mut juliet).await;
    let state = "<active xmlns='http://jabber.org/protocol/chatstates'/>";
    for stanza in [
        format!("<message type='chat' to='juliet@localhost/juliet' id='state'>{state}</message>"),
        "<presence to='juliet@localhost' id='older'/>".to_owned(),
        "<presence to='juliet@localhost' id='newer'><show>away</show></presence>".to_owned(),
    ] {
        romeo.say(stanza).await;
    }
    settled(&mut romeo).await;
    let session = "session=juliet@localhost/juliet";
    let shed = "reason=\"dropped: nobody looks at the client, and it is worthless later\"";
    let expected = [
        format!("not delivered at once {session} {shed}"),
        "dropped reason=\"nobody looks at the client\"".to_owned(),
    ];
    assert_eq!(records.of("state"), expected);
    assert_eq!(records.of("newer"), ["delivered sessions=1"]);
    let [delivered, replaced] = <[String; 2]>::try_from(records.of("older")).unwrap();
    assert_eq!(delivered, "delivered sessions=1");
    assert!(replaced.starts_with("dropped from the mailbox "), "{replaced}");
    let why = "reason=\"newer presence of the same address takes its place\"";
    assert!(replaced.ends_with(&format!("{session} {why}")), "{replaced}");
    drop((romeo, juliet));
    server.close().await;
}

#[tokio::test]
async fn the_stanza_of_a_stranger_has_its_records_when_it_waits_and_when_it_is_released() {
    let records = Records::begin();
    let server = TestServer::new("\n[strangers]\nmessages = \"wait\"").await;
    let mut juliet = server.online("juliet").await;
    let mut romeo = server.login("romeo").await;
    romeo
        .say("<message type='chat' to='juliet@localhost' id='waits'><body>secret</body></message>")
        .await;
    settled(&mut romeo).await;
    let waits = "waits until the user accepts its sender";
    assert_eq!(records.of("waits"), [waits]);
    // Who writes to somebody accepts them.
    juliet.say("<message type='chat' to='romeo@localhost'><body>secret</body></message>").await;
    juliet.hears("id='waits'").await;
    records.until(|| records.of("waits").len() > 1).await;
    assert_eq!(records.of("waits"), [waits, "delivered sessions=1"]);
    drop((romeo, juliet));
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
