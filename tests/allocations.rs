//! What a stanza costs, counted in allocations: the record of its end costs none if the log does not show it, and a message
//! to a room is written once for all occupants.

#![expect(clippy::unwrap_used, reason = "functions of tests")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tracing::Level;
use tracing::subscriber::DefaultGuard;
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

/// A message to a room is made once, for the archive and for all occupants: for each further occupant, far less is
/// allocated than its text needs.
#[tokio::test]
async fn a_message_to_a_room_is_written_once() {
    let data = tempfile::tempdir().unwrap();
    let text = "[listen]\nc2s = []\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n\
                [[host]]\ndomain = \"localhost\"\n[[rooms]]\ncreate = \"everybody\"\n";
    let mut config = Config::parse(text, "the test").unwrap();
    data.path().clone_into(&mut config.data);
    let tasks = Tasks::new();
    let server = Server::start(config, MemoryStorage::new(), Clock::system(), tasks.clone());
    let server = server.await.unwrap();
    let (few, few_occupants) = message_to_a_room(&server, "few", 2, None).await;
    let (many, many_occupants) = message_to_a_room(&server, "many", 50, None).await;
    let (count, bytes) = (many.count_total - few.count_total, many.bytes_total - few.bytes_total);
    assert!(few.bytes_total > BODY as u64, "the message is counted: {few:?}");
    assert!(bytes < BODY as u64, "48 more occupants cost {bytes} bytes, and the text has {BODY}");
    assert!(count <= 48 * 4, "48 more occupants cost {count} allocations");
    // A record that is not logged costs nothing, for none of the occupants. Now and then a table of the store grows.
    let (info, info_occupants) = message_to_a_room(&server, "mist", 50, Some(Level::INFO)).await;
    let difference = info.count_total.abs_diff(many.count_total);
    assert!(difference < 10, "{info:?}, without a log {many:?}");
    drop((few_occupants, many_occupants, info_occupants));
    assert!(tasks.stop(std::time::Duration::from_secs(10)).await.is_empty());
}

/// Bytes of the text of a message.
const BODY: usize = 100_000;

/// What it costs to carry a message to a room with so many occupants, with a log of this level. All of them get the same
/// value.
async fn message_to_a_room(
    server: &Server,
    room: &str,
    occupants: usize,
    level: Option<Level>,
) -> (allocation_counter::AllocationInfo, Vec<Session>) {
    let (router, state) = (server.router(), server.state());
    let enter = async |nth: usize| {
        let one = session(state, &format!("{room}{nth}@localhost/x"));
        let presence = format!(
            "<presence to='{room}@conference.localhost/nick{nth}'>\
             <x xmlns='http://jabber.org/protocol/muc'/></presence>"
        );
        router.from_client(&one, &Origin::Client(&one), stanza(&presence), None).await;
        if nth == 0 {
            let made = format!(
                "<iq type='set' id='a' to='{room}@conference.localhost'>\
                 <query xmlns='http://jabber.org/protocol/muc#owner'>\
                 <x xmlns='jabber:x:data' type='submit'/></query></iq>"
            );
            router.from_client(&one, &Origin::Client(&one), stanza(&made), None).await;
        }
        one
    };
    let mut all = Vec::new();
    for nth in 0..occupants {
        all.push(enter(nth).await);
    }
    let message = format!(
        "<message type='groupchat' to='{room}@conference.localhost' id='m'><body>{}</body></message>",
        "x".repeat(BODY)
    );
    let (speaker, origin) = (&all[0], Origin::Client(&all[0]));
    let carry = || {
        let message = stanza(&message);
        let carried = router.from_client(speaker, &origin, message, None).now_or_never();
        drop(carried.expect("nothing is waited for"));
    };
    let take = || all.iter().map(|one| one.mailbox().take().0);
    // The first time, caches and queues are filled.
    for _ in 0..2 {
        carry();
        let taken: Vec<_> = take().collect();
        assert!(taken.iter().all(|queue| !queue.is_empty()), "each occupant gets something");
    }
    let log = level.map(with_log);
    let measured = allocation_counter::measure(carry);
    drop(log);
    let taken: Vec<_> = take().collect();
    let first = &taken[0][0].stanza;
    let is_same = |queue: &std::collections::VecDeque<waxwing::session::Delivery>| {
        queue.len() == 1 && Arc::ptr_eq(&queue[0].stanza, first)
    };
    assert!(taken.iter().all(is_same), "all occupants get one value");
    (measured, all)
}

fn stanza(xml: &str) -> Stanza {
    Stanza::read(Frame::from_bytes(xml.to_owned()).unwrap()).unwrap()
}

/// A log of this level, as long as the guard lives.
fn with_log(level: Level) -> DefaultGuard {
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(io::sink);
    tracing::subscriber::set_default(log.finish())
}

/// How often memory is allocated while the server carries a stanza of Romeo, with a log of this level.
fn allocations(
    router: &Router,
    romeo: &Session,
    juliet: &Session,
    xml: &str,
    level: Option<Level>,
) -> u64 {
    let _log = level.map(with_log);
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
