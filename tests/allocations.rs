//! What a stanza costs, counted in allocations: the record of its end costs none if the log does not show it.

#![expect(clippy::unwrap_used, reason = "functions of tests")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tracing::Level;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::host::{Origin, ServerState};
use waxwing::jid::FullJid;
use waxwing::router::Router;
use waxwing::server::Server;
use waxwing::session::{MailboxLimits, Session, SessionFacts};
use waxwing::stanza::Stanza;
use waxwing::storage::MemoryStorage;
use waxwing::tasks::Tasks;
use waxwing::xml::Frame;

/// A message that is delivered, one that is dropped, and one that is answered with an error.
const STANZAS: [&str; 3] = [
    "<message type='chat' to='juliet@localhost/balcony' id='a'><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
    "<message type='error' to='juliet@localhost/gone' id='b'/>",
    "<message type='groupchat' to='juliet@localhost' id='c'/>",
];

#[tokio::test]
async fn the_record_of_a_stanza_costs_nothing_that_is_not_logged() {
    let data = tempfile::tempdir().unwrap();
    let text = "[listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n[[host]]\ndomain = \"localhost\"\n";
    let mut config = Config::parse(text, "the test").unwrap();
    data.path().clone_into(&mut config.data);
    let tasks = Tasks::new();
    let server = Server::start(config, MemoryStorage::new(), Clock::system(), tasks.clone());
    let server = server.await.unwrap();
    let state = server.state();
    let romeo = session(state, "romeo@localhost/orchard");
    let juliet = session(state, "juliet@localhost/balcony");
    for xml in STANZAS {
        let count = |level| allocations(server.router(), &romeo, &juliet, xml, level);
        let (without, info, debug) =
            (count(None), count(Some(Level::INFO)), count(Some(Level::DEBUG)));
        assert_eq!(info, without, "{xml}");
        assert!(debug > without, "the record is counted: {debug}, without it {without}: {xml}");
    }
    drop((romeo, juliet));
    assert!(tasks.stop(std::time::Duration::from_secs(10)).await.is_empty());
}

/// How often memory is allocated while the server carries a stanza of Romeo, with a log of this level.
fn allocations(
    router: &Router,
    romeo: &Session,
    juliet: &Session,
    xml: &str,
    level: Option<Level>,
) -> u64 {
    let subscriber = level.map(|level| {
        tracing_subscriber::fmt().with_max_level(level).with_writer(io::sink).finish()
    });
    let _log = subscriber.map(tracing::subscriber::set_default);
    let origin = Origin::Client(romeo);
    let carry = || {
        let stanza = Stanza::read(Frame::from_bytes(xml.to_owned()).unwrap()).unwrap();
        let carried = router.from_client(romeo, &origin, stanza, None).now_or_never();
        drop(carried.expect("nothing is waited for"));
        drop((romeo.mailbox().take(), juliet.mailbox().take()));
    };
    // The first time, caches are filled.
    carry();
    allocation_counter::measure(carry).count_total
}

fn session(state: &ServerState, jid: &str) -> Session {
    let facts = SessionFacts {
        peer: SocketAddr::from(([192, 0, 2, 1], 5222)),
        tls: "TLSv1.3",
        since: tokio::time::Instant::now(),
        anonymous: false,
        resumable: false,
        installation: None,
        newest: None,
        newest_seen: None,
        restored: None,
    };
    let limits = MailboxLimits { stanzas: 100, bytes: 1 << 20 };
    Session::open(Arc::clone(&state.sessions), FullJid::parse(jid).unwrap(), facts, limits, 9)
}
