//! Streams as a conformance suite and a hostile peer would have them: raw bytes over real sockets
//! against a server in this process (RFC 6120 §4 to §8). Nothing here parses XML: the tests say
//! which bytes they wait for.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

#[path = "support/faulty.rs"]
#[expect(dead_code, reason = "conversations use the rest of it")]
mod faulty;
#[path = "support/peer.rs"]
mod peer;
#[path = "streams/records.rs"]
mod records;
#[path = "support/trust.rs"]
mod trust;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peer::Peer;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use waxwing::auth::derive_keys;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::host::command::ServerControl;
use waxwing::jid::BareJid;
use waxwing::server::Server;
use waxwing::storage::{
    AccountStore, ApiTokenStore, ArchiveStore, CapabilityStore, DeviceStore, DocumentStore,
    FileStore, InvitationStore, MemoryStorage, NewAccount, PubSubStore, PushStore, ResumptionStore,
    RoomStore, RosterStore, Storage, UsageStore,
};
use waxwing::tasks::Tasks;

/// A server on free ports of the loopback interface, with the accounts romeo and juliet.
struct House {
    server: Server,
    storage: Arc<dyn Storage>,
    tasks: Tasks,
    _data: TempDir,
}

impl House {
    async fn new(limits: &str) -> Self {
        Self::on(MemoryStorage::new(), limits).await
    }

    async fn on(storage: Arc<dyn Storage>, limits: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let text = format!(
            "[listen]\nc2s = [\"127.0.0.1:0\"]\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n[limits]\n{limits}\n\
             [[host]]\ndomain = \"localhost\"\n"
        );
        let mut config = Config::parse(&text, "the test").unwrap();
        data.path().clone_into(&mut config.data);
        let (clock, tasks) = (Clock::system(), Tasks::new());
        let server = Server::start(config, Arc::clone(&storage), clock, tasks.clone());
        let server = server.await.unwrap();
        let house = Self { server, storage, tasks, _data: data };
        house.add(&["romeo", "juliet"]).await;
        house
    }

    async fn add(&self, names: &[&str]) {
        let keys = derive_keys("secret", ROUNDS).unwrap();
        let created = Clock::system().now();
        let account = |name: &&str| {
            let user = BareJid::parse(&format!("{name}@localhost")).unwrap();
            NewAccount { user, keys: keys.clone(), created, admin: false }
        };
        let accounts: Vec<_> = names.iter().map(account).collect();
        self.storage.accounts().create(&accounts).await.unwrap();
    }

    fn address(&self) -> SocketAddr {
        self.server.addresses()[0].1
    }

    /// TCP only.
    async fn plain(&self) -> Peer {
        let socket = TcpStream::connect(self.address()).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Peer::new(socket)
    }

    /// TCP with a small window: what is not read soon stops the writer.
    async fn narrow(&self) -> Peer {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Peer::new(socket.connect(self.address()).await.unwrap())
    }

    /// Over a pipe, whose end the server sees with the last byte.
    fn pipe(&self) -> Peer {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        self.server.connect(Box::new(theirs), "starttls");
        Peer::new(ours)
    }

    /// With a session, without presence.
    async fn login(&self, name: &str) -> Peer {
        self.plain().await.login(name).await
    }

    /// With a session and presence.
    async fn online(&self, name: &str) -> Peer {
        let mut peer = self.login(name).await;
        peer.say("<presence/>").await;
        peer.hears(&format!("from='{name}@localhost/{name}' to=")).await;
        peer.hears(">").await;
        peer
    }

    /// No panic, and everything ends.
    async fn close(self) {
        assert_eq!(self.server.state().metrics.panics.get(), 0);
        assert!(self.tasks.stop(Duration::from_secs(10)).await.is_empty());
    }
}

/// A storage with a bug: who asks it for a roster panics.
struct Cursed(Arc<MemoryStorage>);

#[async_trait::async_trait]
impl Storage for Cursed {
    fn accounts(&self) -> &dyn AccountStore {
        self.0.accounts()
    }

    fn api_tokens(&self) -> &dyn ApiTokenStore {
        Storage::api_tokens(&*self.0)
    }

    fn archive(&self) -> &dyn ArchiveStore {
        self.0.archive()
    }

    fn invitations(&self) -> &dyn InvitationStore {
        Storage::invitations(&*self.0)
    }

    fn files(&self) -> &dyn FileStore {
        self.0.files()
    }

    fn capabilities(&self) -> &dyn CapabilityStore {
        self.0.capabilities()
    }

    fn devices(&self) -> &dyn DeviceStore {
        self.0.devices()
    }

    fn documents(&self) -> &dyn DocumentStore {
        self.0.documents()
    }

    fn pubsub(&self) -> &dyn PubSubStore {
        self.0.pubsub()
    }

    fn push(&self) -> &dyn PushStore {
        self.0.push()
    }

    fn resumption(&self) -> &dyn ResumptionStore {
        self.0.resumption()
    }

    fn rooms(&self) -> &dyn RoomStore {
        self.0.rooms()
    }

    fn roster(&self) -> &dyn RosterStore {
        panic!("a bug, for the test")
    }

    fn usage(&self) -> &dyn UsageStore {
        self.0.usage()
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

impl Peer {
    /// All up to the end of the connection.
    #[track_caller]
    fn hears_the_end(mut self) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        async move {
            let read = timeout(PATIENCE, self.reader.read_to_end(&mut self.heard)).await;
            let heard = String::from_utf8(self.heard).unwrap();
            assert!(read.is_ok(), "{caller}: the connection does not end after {heard}");
            heard
        }
    }

    /// The server ends the stream with this error, told on an open stream.
    #[track_caller]
    fn ends_refused(self, condition: &str) -> impl Future<Output = String> {
        let wanted = format!("<stream:error><{condition} xmlns=");
        let caller = std::panic::Location::caller();
        let heard = self.hears_the_end();
        async move {
            let heard = heard.await;
            assert!(heard.contains(&wanted), "{caller}: no {condition} in {heard}");
            assert!(heard.ends_with("</stream:stream>"), "{caller}: {heard}");
            heard
        }
    }

    async fn open(&mut self) {
        self.say(HEADER).await;
        self.hears("</stream:features>").await;
    }

    async fn secure(mut self) -> Self {
        self.say(STARTTLS).await;
        self.hears("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
        let mut config = trust::config(false);
        config.alpn_protocols.clear();
        let name = ServerName::try_from("localhost").unwrap();
        let io = self.reader.unsplit(self.writer);
        Self::new(TlsConnector::from(Arc::new(config)).connect(name, io).await.unwrap())
    }

    async fn encrypted(mut self) -> Self {
        self.open().await;
        let mut peer = self.secure().await;
        peer.open().await;
        peer
    }

    async fn authenticated(self, name: &str) -> Self {
        let mut peer = self.encrypted().await;
        peer.say(plain_auth(name)).await;
        peer.hears("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
        peer.open().await;
        peer
    }

    /// A session that can be resumed; answers its id.
    async fn enable(&mut self) -> String {
        self.say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
        let enabled = self.hears("/>").await;
        let id = enabled.split(" id='").nth(1).unwrap();
        id.split('\'').next().unwrap().to_owned()
    }

    /// The resource is the name.
    async fn login(self, name: &str) -> Self {
        let mut peer = self.authenticated(name).await;
        peer.say(bind(name)).await;
        peer.hears("</iq>").await;
        peer
    }
}

fn resume(id: &str) -> String {
    format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='0'/>")
}

fn plain_auth(name: &str) -> String {
    let message = STANDARD.encode(format!("\0{name}\0secret"));
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{message}</auth>")
}

fn bind(resource: &str) -> String {
    format!(
        "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
         <resource>{resource}</resource></bind></iq>"
    )
}

fn messages(to: &str, numbers: std::ops::Range<usize>, body: &str) -> String {
    let one = |n| format!("<message to='{to}' type='chat' id='m{n}'><body>{body}</body></message>");
    numbers.map(one).collect()
}

/// The numbers of the ids of what was heard, in order.
fn numbers(heard: &str, before: &str) -> Vec<usize> {
    let rest = heard.split(before).skip(1);
    rest.map(|rest| rest.split('\'').next().unwrap().parse().unwrap()).collect()
}

// ── headers ──

#[tokio::test]
async fn a_header_that_is_wrong_is_told_so_on_an_open_stream() {
    let house = House::new("").await;
    let with = |what: &str, instead: &str| HEADER.replace(what, instead);
    let cases = [
        (with("to='localhost'", ""), "improper-addressing"),
        (with("to='localhost'", "to='montague.lit'"), "host-unknown"),
        (with("to='localhost'", "to='romeo@localhost'"), "host-unknown"),
        (with("version='1.0'", ""), "unsupported-version"),
        (with("version='1.0'", "version='0.9'"), "unsupported-version"),
        (with("version='1.0'", "version='new'"), "unsupported-version"),
        (with("='jabber:client'", "='jabber:server'"), "invalid-namespace"),
        (with("etherx.jabber.org", "jabber.org"), "invalid-namespace"),
        (with("xmlns:stream", "xmlns:other"), "bad-namespace-prefix"),
        (with("<stream:stream", "<stream:beam"), "bad-format"),
        (with("version='1.0' to", "version='1.0' version='1.0' to"), "not-well-formed"),
        (format!("<?xml version='1.0' encoding='iso-8859-1'?>{HEADER}"), "unsupported-encoding"),
        (format!("<?xml version='1.1'?>{HEADER}"), "not-well-formed"),
        (format!("<!DOCTYPE stream>{HEADER}"), "restricted-xml"),
        (format!("<!-- -->{HEADER}"), "restricted-xml"),
        (format!("<?php?>{HEADER}"), "restricted-xml"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "bad-format"),
        ("<message/>".to_owned(), "bad-format"),
        (HEADER.replace('>', "/>"), "bad-format"),
        ("</stream:stream>".to_owned(), "not-well-formed"),
    ];
    for (header, condition) in cases {
        let mut peer = house.plain().await;
        peer.say(&header).await;
        let heard = peer.ends_refused(condition).await;
        assert!(heard.starts_with("<?xml version='1.0'?><stream:stream "), "{header}: {heard}");
        assert_eq!(heard.matches("<stream:stream ").count(), 1, "{header}: {heard}");
    }
    let mut peer = house.plain().await;
    let wide: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_be_bytes).collect();
    peer.say(wide).await;
    peer.ends_refused("unsupported-encoding").await;
    house.close().await;
}

#[tokio::test]
async fn headers_of_all_styles_are_understood() {
    let house = House::new("").await;
    let with = |what: &str, instead: &str| HEADER.replace(what, instead);
    let headers = [
        format!("<?xml version='1.0' encoding='UTF-8' standalone='yes'?>\r\n{HEADER}"),
        format!("\n {HEADER}"),
        with("to='localhost'", "to='LOCALHOST' from='romeo@localhost'"),
        with("version='1.0'", "version='1.1'"),
        with("version='1.0'", "version='2.0' xml:lang='it' id='mine'"),
        with("stream:stream", "s:stream").replace("xmlns:stream", "xmlns:s"),
        with("xmlns='jabber:client'", "xmlns:c='jabber:client'"),
        // RFC 6120 §4.8.2: each stanza has its own namespace.
        "<stream xmlns='http://etherx.jabber.org/streams' version='1.0' to='localhost'>".to_owned(),
    ];
    for header in headers {
        let mut peer = house.plain().await;
        peer.say(&header).await;
        let heard = peer.hears("</stream:features>").await;
        assert!(heard.contains(" version='1.0'"), "{header}: {heard}");
        peer.say(STARTTLS).await;
        peer.hears("<proceed ").await;
    }
    house.close().await;
}

#[tokio::test]
async fn a_stream_without_a_default_namespace_carries_stanzas() {
    let house = House::new("").await;
    let header = "<stream xmlns='http://etherx.jabber.org/streams' version='1.0' to='localhost'>";
    let mut peer = house.plain().await.encrypted().await;
    peer.say(plain_auth("romeo")).await;
    peer.hears("<success ").await;
    peer.say(header).await;
    peer.hears("</stream:features>").await;
    peer.say(bind("romeo").replace("<iq ", "<iq xmlns='jabber:client' ")).await;
    peer.hears("<jid>romeo@localhost/romeo</jid>").await;
    peer.say("</stream>").await;
    assert!(peer.hears_the_end().await.ends_with("</stream:stream>"));
    house.close().await;
}

#[tokio::test]
async fn a_panic_ends_one_connection_and_no_other() {
    let house = House::on(Arc::new(Cursed(MemoryStorage::new())), "").await;
    let mut juliet = house.login("juliet").await;
    let mut romeo = house.login("romeo").await;
    romeo.say("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>").await;
    romeo.hears_the_end().await;
    juliet.say(messages("juliet@localhost/juliet", 7..8, "still here")).await;
    juliet.hears("still here").await;
    let romeo = BareJid::parse("romeo@localhost").unwrap();
    let sessions = &house.server.state().sessions;
    timeout(PATIENCE, async {
        while !sessions.of(&romeo).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the session of the panic is gone");
    house.login("romeo").await;
    house.close().await;
}

#[tokio::test]
async fn who_is_closed_by_the_operator_is_told_why() {
    let house = House::new("").await;
    let romeo = house.login("romeo").await;
    let jid = BareJid::parse("romeo@localhost").unwrap();
    assert_eq!(ServerControl::close(&house.server, &jid, Some("back at noon < 1")).await, 1);
    let heard = romeo.ends_refused("policy-violation").await;
    assert!(heard.contains(">back at noon &lt; 1</text>"), "{heard}");
    house.close().await;
}

/// RFC 6120 §8.1.5.
#[tokio::test]
async fn a_stanza_that_names_no_language_has_that_of_its_stream() {
    let house = House::new("").await;
    let mut peer = house.plain().await.encrypted().await;
    peer.say(plain_auth("romeo")).await;
    peer.hears("<success ").await;
    peer.say(HEADER.replace("version=", "xml:lang='it' version=")).await;
    peer.hears("</stream:features>").await;
    peer.say(bind("romeo")).await;
    peer.hears("</iq>").await;
    let to_self = "<message to='romeo@localhost/romeo' type='chat'><body>ciao</body></message>";
    peer.say(to_self).await;
    assert!(peer.hears("</message>").await.contains(" xml:lang='it'"));
    peer.say(to_self.replace("type=", "xml:lang='en' type=")).await;
    assert!(peer.hears("</message>").await.contains(" xml:lang='en'"));
    house.close().await;
}

#[tokio::test]
async fn at_the_end_of_the_server_each_stream_is_told_on_an_open_stream() {
    let house = House::new("").await;
    let silent = house.plain().await;
    let mut opened = house.plain().await;
    opened.open().await;
    let mut again = house.plain().await.encrypted().await;
    again.say(plain_auth("romeo")).await;
    again.hears("<success ").await;
    again.hears("/>").await;
    let session = house.login("juliet").await;
    // It has been accepted when later ones have been answered.
    let tasks = house.tasks.clone();
    let stopped = tokio::join!(
        tasks.stop(Duration::from_secs(10)),
        silent.ends_refused("system-shutdown"),
        opened.ends_refused("system-shutdown"),
        again.ends_refused("system-shutdown"),
        session.ends_refused("system-shutdown"),
    );
    assert!(stopped.0.is_empty());
    assert!(stopped.1.contains("<stream:stream "), "{}", stopped.1);
    assert!(!stopped.2.contains("<stream:stream "), "{}", stopped.2);
    assert!(stopped.3.contains("<stream:stream "), "{}", stopped.3);
    assert!(!stopped.4.contains("<stream:stream "), "{}", stopped.4);
}

/// Dino that sees TLS break off does not come back. An end of the stream would be a logout.
#[tokio::test]
async fn at_the_end_of_the_server_who_can_resume_sees_the_end_of_tls_alone() {
    let house = House::new("").await;
    let mut juliet = house.login("juliet").await;
    juliet.enable().await;
    let (stopped, read) = tokio::join!(
        house.tasks.stop(Duration::from_secs(10)),
        timeout(PATIENCE, juliet.reader.read_to_end(&mut juliet.heard)),
    );
    assert!(stopped.is_empty());
    let heard = String::from_utf8_lossy(&juliet.heard);
    assert!(read.is_ok_and(|read| read.is_ok()), "TLS breaks off after {heard}");
    assert!(!heard.contains("stream:"), "{heard}");
}

// ── STARTTLS, SASL, bind ──

#[tokio::test]
async fn who_authenticates_in_the_clear_is_told_to_encrypt() {
    let house = House::new("").await;
    let mut peer = house.plain().await;
    peer.open().await;
    peer.say(plain_auth("romeo")).await;
    let heard = peer.hears("</failure>").await;
    assert!(heard.contains("<encryption-required/>"), "{heard}");
    let mut peer = peer.secure().await;
    peer.open().await;
    peer.say(plain_auth("romeo")).await;
    peer.hears("<success ").await;
    house.close().await;
}

#[tokio::test]
async fn nothing_said_before_tls_counts_after_it() {
    let house = House::new("").await;
    let mut peer = house.plain().await;
    peer.say(format!("{HEADER}{STARTTLS}{}", plain_auth("romeo"))).await;
    peer.ends_refused("policy-violation").await;
    house.close().await;
}

#[tokio::test]
async fn bytes_one_by_one_and_all_at_once_mean_the_same() {
    let house = House::new("").await;
    let mut peer = house.plain().await;
    for byte in [HEADER, STARTTLS].concat().into_bytes() {
        peer.say([byte]).await;
    }
    peer.hears("</stream:features>").await;
    peer.heard.clear();
    let mut peer = house.plain().await;
    peer.open().await;
    let mut peer = peer.secure().await;
    let ping = "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq></stream:stream>";
    let all = [HEADER, &plain_auth("romeo"), HEADER, &bind("romeo"), ping].concat();
    peer.say(all).await;
    let heard = peer.hears_the_end().await;
    assert!(heard.contains("id='p' type='result'"), "{heard}");
    assert!(heard.ends_with("</stream:stream>"), "{heard}");
    let mut peer = house.plain().await.encrypted().await;
    for byte in [&plain_auth("romeo"), HEADER, &bind("rö/meo")].concat().into_bytes() {
        peer.say([byte]).await;
    }
    peer.hears("<jid>romeo@localhost/rö/meo</jid>").await;
    house.close().await;
}

#[tokio::test]
async fn there_is_nothing_but_sasl_before_authentication() {
    let house = House::new("").await;
    let cases = [
        ("<message to='juliet@localhost'/>", "not-authorized"),
        ("<presence/>", "not-authorized"),
        ("<iq type='get' id='1'><query xmlns='jabber:iq:auth'/></iq>", "not-authorized"),
        (STARTTLS, "unsupported-stanza-type"),
        ("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", "unsupported-stanza-type"),
        ("hello", "bad-format"),
    ];
    for (said, condition) in cases {
        let mut peer = house.plain().await.encrypted().await;
        peer.say(said).await;
        peer.ends_refused(condition).await;
    }
    let deep = "<a>".repeat(100);
    let long = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}", "A".repeat(17_000));
    for said in [deep, long] {
        let mut peer = house.plain().await.encrypted().await;
        peer.say(said).await;
        peer.ends_refused("policy-violation").await;
    }
    house.close().await;
}

#[tokio::test]
async fn a_stream_error_is_not_answered_with_one() {
    let house = House::new("").await;
    let error = "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    let mut negotiating = house.plain().await;
    negotiating.open().await;
    let session = house.login("romeo").await;
    for mut peer in [negotiating, session] {
        peer.say(error).await;
        assert_eq!(peer.hears_the_end().await, "</stream:stream>");
    }
    house.close().await;
}

// ── stanzas ──

#[tokio::test]
async fn what_is_no_good_xml_ends_its_own_stream_and_reaches_nobody() {
    let house = House::new("").await;
    let mut juliet = house.online("juliet").await;
    let body = |body: &str| {
        format!("<message to='juliet@localhost'><body>{body}</body></message>").into_bytes()
    };
    let bytes = |bytes: &[u8]| {
        [b"<message to='juliet@localhost'><body>", bytes, b"</body></message>"].concat()
    };
    let cases = [
        (body("<!-- -->"), "restricted-xml"),
        (body("<?x y?>"), "restricted-xml"),
        (body("&nbsp;"), "restricted-xml"),
        (b"<!DOCTYPE a>".to_vec(), "restricted-xml"),
        (body("&#0;"), "not-well-formed"),
        (body("&#x1F;"), "not-well-formed"),
        (body("&#xFFFE;"), "not-well-formed"),
        (body("&#xD800;"), "not-well-formed"),
        (body("&#x110000;"), "not-well-formed"),
        (body("\u{1}"), "not-well-formed"),
        (body("\u{ffff}"), "not-well-formed"),
        (body("]]>"), "not-well-formed"),
        (body("<b></c>"), "not-well-formed"),
        (body("<b a='1' a='2'/>"), "not-well-formed"),
        (body("<b xmlns:c='u' xmlns:d='u' c:a='' d:a=''/>"), "not-well-formed"),
        (body("<b a='<'/>"), "not-well-formed"),
        (body("<b:c/>"), "bad-namespace-prefix"),
        (body("<b c:d=''/>"), "bad-namespace-prefix"),
        (bytes(b"\xff"), "unsupported-encoding"),
        (bytes(b"\xc0\xaf"), "unsupported-encoding"),
        (bytes(b"\xed\xa0\x80"), "unsupported-encoding"),
        (body(&"<b>".repeat(100)), "policy-violation"),
        (body(&"<b/>".repeat(9000)), "policy-violation"),
        (body(&"x".repeat(300_000)), "policy-violation"),
        (b"<message xmlns='jabber:server'/>".to_vec(), "unsupported-stanza-type"),
        (b"<other/>".to_vec(), "unsupported-stanza-type"),
        (b"hello".to_vec(), "bad-format"),
    ];
    for (said, condition) in cases {
        let mut romeo = house.login("romeo").await;
        romeo.say(said).await;
        romeo.ends_refused(condition).await;
    }
    juliet.say("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    let heard = juliet.hears("id='p' type='result'/>").await;
    assert!(!heard.contains("<message"), "{heard}");
    house.close().await;
}

#[tokio::test]
async fn nobody_speaks_in_the_name_of_another() {
    let house = House::new("").await;
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    let stanzas = [
        "<message to='juliet@localhost' from='juliet@localhost'/>".to_owned(),
        "<message to='juliet@localhost' from='romeo@localhost/other'/>".to_owned(),
        "<message to='juliet@localhost' from=''/>".to_owned(),
        "<presence from='juliet@localhost/juliet'/>".to_owned(),
        format!("<iq type='get' id='1' from='localhost'>{ping}</iq>"),
    ];
    for stanza in stanzas {
        let mut romeo = house.login("romeo").await;
        romeo.say(stanza).await;
        romeo.ends_refused("invalid-from").await;
    }
    house.close().await;
}

#[tokio::test]
async fn each_faulty_request_gets_its_error_and_the_stream_goes_on() {
    let house = House::new("").await;
    let mut romeo = house.login("romeo").await;
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    let cases = [
        (format!("<iq type='get'>{ping}</iq>"), "bad-request"),
        (format!("<iq id='1'>{ping}</iq>"), "bad-request"),
        (format!("<iq id='1' type='GET'>{ping}</iq>"), "bad-request"),
        (format!("<iq id='1' type='get'>{ping}{ping}</iq>"), "bad-request"),
        ("<iq id='1' type='set'/>".to_owned(), "bad-request"),
        (format!("<iq id='1' type='get' to='@'>{ping}</iq>"), "jid-malformed"),
        (format!("<iq id='1' type='get' to='nobody@localhost'>{ping}</iq>"), "service-unavailable"),
        ("<iq id='1' type='get' to='localhost'><a xmlns='b'/></iq>".into(), "service-unavailable"),
        (bind("again"), "service-unavailable"),
        ("<message to='a@b@c'/>".to_owned(), "jid-malformed"),
    ];
    for (said, condition) in cases {
        romeo.say(&said).await;
        let heard = romeo.hears("</error>").await;
        assert!(heard.contains("type='error'"), "{said}: {heard}");
        assert!(heard.contains(&format!("<{condition} xmlns=")), "{said}: {heard}");
        romeo.hears(">").await;
    }
    // Never answered: errors and results.
    romeo.say("<iq type='error' id='2'/><iq type='result'/><message to='@' type='error'/>").await;
    romeo.say(format!("<iq type='get' id='3'>{ping}</iq>")).await;
    let heard = romeo.hears("id='3' type='result'/>").await;
    assert_eq!(heard.matches('<').count(), 1, "{heard}");
    house.close().await;
}

// ── many at once ──

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_reaches_a_client_that_reads_whole_and_in_order() {
    let house = House::new("").await;
    let (mut romeo, mut juliet) = (house.online("romeo").await, house.online("juliet").await);
    let burst = messages("juliet@localhost/juliet", 0..5000, "Lady, by yonder moon I vow");
    let ((), heard) = tokio::join!(romeo.say(burst), juliet.hears("id='m4999'"));
    assert_eq!(numbers(&heard, " id='m"), (0..5000).collect::<Vec<_>>());
    let large = messages("romeo@localhost/romeo", 0..40, &"x".repeat(100_000));
    let ((), heard) = tokio::join!(juliet.say(large), romeo.hears("id='m39'"));
    assert_eq!(numbers(&heard, " id='m"), (0..40).collect::<Vec<_>>());
    house.close().await;
}

#[tokio::test]
async fn a_burst_of_requests_is_answered_once_each_however_slowly_one_reads() {
    let house = House::new("").await;
    let mut romeo = house.narrow().await.login("romeo").await;
    let ping = |n| format!("<iq type='get' id='p{n}'><ping xmlns='urn:xmpp:ping'/></iq>");
    romeo.say((0..1000).map(ping).collect::<String>()).await;
    let heard = romeo.hears("id='p999' type='result'/>").await;
    assert_eq!(numbers(&heard, " id='p"), (0..1000).collect::<Vec<_>>());
    house.close().await;
}

#[tokio::test]
async fn large_answers_do_not_close_a_client_that_asks_for_many() {
    let house = House::new("inbox_bytes = \"256 KiB\"").await;
    let mut romeo = house.narrow().await.login("romeo").await;
    let name = "n".repeat(900);
    let item = |n: usize| {
        format!(
            "<iq type='set' id='s{n}'><query xmlns='jabber:iq:roster'>\
             <item jid='c{n}@localhost' name='{name}'/></query></iq>"
        )
    };
    romeo.say((0..100).map(item).collect::<String>()).await;
    romeo.hears("id='s99' type='result'/>").await;
    let get = |n: usize| format!("<iq type='get' id='g{n}'><query xmlns='jabber:iq:roster'/></iq>");
    romeo.say((0..20).map(get).collect::<String>()).await;
    romeo.hears("id='g19' type='result'").await;
    house.close().await;
}

#[tokio::test]
async fn what_is_said_right_before_the_end_arrives() {
    let house = House::new("").await;
    let mut juliet = house.online("juliet").await;
    for _ in 0..5 {
        let mut romeo = house.login("romeo").await;
        let said = messages("juliet@localhost", 0..100, "Good night");
        romeo.say([&said, "</stream:stream>"].concat()).await;
        drop(romeo);
        let heard = juliet.hears("id='m99'").await;
        assert_eq!(numbers(&heard, " id='m"), (0..100).collect::<Vec<_>>());
    }
    house.close().await;
}

#[tokio::test]
async fn a_thousand_messages_wait_and_arrive_in_order() {
    let house = House::new("").await;
    let mut romeo = house.login("romeo").await;
    romeo.say(messages("juliet@localhost", 0..1000, "Romeo")).await;
    romeo.say("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    romeo.hears("id='p' type='result'/>").await;
    let mut juliet = house.login("juliet").await;
    juliet.say("<presence/>").await;
    let heard = juliet.hears("id='m999'").await;
    assert_eq!(numbers(&heard, " id='m"), (0..1000).collect::<Vec<_>>());
    house.close().await;
}

#[tokio::test]
async fn a_request_that_was_never_read_is_answered_when_its_reader_is_gone() {
    let house = House::new("write = \"1 s\"\ninbox_stanzas = 4096\ninbox_bytes = \"64 MiB\"");
    let house = house.await;
    let mut romeo = house.login("romeo").await;
    let mut juliet = house.narrow().await.login("juliet").await;
    let to = "juliet@localhost/juliet";
    // Only who has her presence may ask (RFC 6121 §8.5.3.1).
    juliet.say("<presence to='romeo@localhost/romeo'/>").await;
    romeo.hears("from='juliet@localhost/juliet'").await;
    // Much more than the buffers of a connection hold.
    let fill = "x".repeat(200_000);
    let fill = format!("<message type='headline' to='{to}'><body>{fill}</body></message>");
    romeo.say(fill.repeat(60)).await;
    romeo.say(format!("<iq type='get' id='lost' to='{to}'><a xmlns='b'/></iq>")).await;
    let heard = romeo.hears("</iq>").await;
    assert!(heard.contains("id='lost' type='error'"), "{heard}");
    assert!(heard.contains("<service-unavailable "), "{heard}");
    drop(juliet);
    house.close().await;
}

#[tokio::test]
async fn a_contact_sees_one_go_once() {
    let house = House::new("").await;
    let (mut romeo, mut juliet) = (house.online("romeo").await, house.online("juliet").await);
    romeo.say("<presence to='juliet@localhost' type='subscribe'/>").await;
    juliet.hears("type='subscribe'").await;
    juliet.say("<presence to='romeo@localhost' type='subscribed'/>").await;
    romeo.hears("from='juliet@localhost/juliet'").await;
    juliet.say("<presence to='romeo@localhost'/></stream:stream>").await;
    juliet.hears_the_end().await;
    romeo.hears("type='unavailable'/>").await;
    romeo.say("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    let heard = romeo.hears("id='p' type='result'/>").await;
    assert!(!heard.contains("unavailable"), "{heard}");
    house.close().await;
}

#[tokio::test]
async fn one_with_many_contacts_sees_them_all() {
    let house = House::new("inbox_stanzas = 32\nroster_items = 1000").await;
    let names: Vec<_> = (0..100).map(|n| format!("c{n}")).collect();
    house.add(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut romeo = house.online("romeo").await;
    let mut contacts = Vec::new();
    for name in &names {
        let mut contact = house.online(name).await;
        // Half of them are seen, half of them wait for an answer.
        if contacts.len() % 2 == 0 {
            romeo.say(format!("<presence to='{name}@localhost' type='subscribe'/>")).await;
            contact.hears("type='subscribe'/>").await;
            contact.say("<presence to='romeo@localhost' type='subscribed'/>").await;
            romeo.hears(&format!("from='{name}@localhost/{name}'")).await;
        } else {
            contact.say("<presence to='romeo@localhost' type='subscribe'/>").await;
            romeo.hears("type='subscribe'/>").await;
        }
        contacts.push(contact);
    }
    romeo.say("</stream:stream>").await;
    romeo.hears_the_end().await;
    let mut romeo = house.login("romeo").await;
    romeo.say("<presence/><iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    let heard = romeo.hears("id='p' type='result'/>").await;
    assert_eq!(heard.matches("type='subscribe'/>").count(), 50);
    assert_eq!(heard.matches("<presence from='c").count(), 100);
    house.close().await;
}

// ── resumption ──

#[tokio::test]
async fn a_resumption_that_is_cut_off_loses_nothing() {
    let house = House::new("").await;
    let mut romeo = house.login("romeo").await;
    let mut juliet = house.login("juliet").await;
    let id = juliet.enable().await;
    romeo.say(messages("juliet@localhost/juliet", 0..1, "My ears have not yet drunk")).await;
    juliet.hears("</message>").await;
    drop(juliet);
    let mut again = house.pipe().authenticated("juliet").await;
    again.say(resume(&id)).await;
    drop(again);
    let mut third = house.plain().await.authenticated("juliet").await;
    third.say(resume(&id)).await;
    third.hears("<resumed ").await;
    third.hears("My ears have not yet drunk").await;
    house.close().await;
}

#[tokio::test]
async fn a_resumption_does_not_wait_for_the_old_connection_to_take_bytes() {
    let house = House::new("").await;
    let mut romeo = house.login("romeo").await;
    let mut juliet = house.pipe().login("juliet").await;
    let id = juliet.enable().await;
    let long = "x".repeat(100_000);
    romeo.say(messages("juliet@localhost/juliet", 0..5, &long)).await;
    romeo.say("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    romeo.hears("id='p' type='result'/>").await;
    let mut again = house.plain().await.authenticated("juliet").await;
    again.say(resume(&id)).await;
    let heard = again.hears("id='m4'").await;
    assert!(heard.starts_with("<resumed "), "{}", &heard[..100]);
    assert_eq!(numbers(&heard, " id='m"), [0, 1, 2, 3, 4]);
    drop(juliet);
    house.close().await;
}

const HEADER: &str = "<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='localhost'>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
/// Longer than anything takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of PBKDF2: far too few for a password, which is none here.
const ROUNDS: u32 = 2;
