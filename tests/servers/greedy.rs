//! Peers that do not read, send too much, or stop in the middle.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::peer::Peer;
use super::remote::{Listening, header, login, open, open_narrow};
use super::test_server::{Authority, Pair, Plan, TestServer, free_port};

fn message(bytes: usize, id: &str) -> String {
    let body = "x".repeat(bytes);
    format!("<message to='x@c.example' id='{id}' type='chat'><body>{body}</body></message>")
}

/// A peer that reads little, with a bidirectional stream on which so many messages of 200,000 bytes wait for it.
async fn flooded(romeo: &mut Peer, at: SocketAddr, own: &Pair, messages: usize) -> Peer {
    let mut peer = open_narrow(at, Some(own), "c.example", "a.example").await;
    peer.say("<bidi xmlns='urn:xmpp:bidi'/>").await;
    login(&mut peer, "c.example", "a.example").await;
    for _ in 0..messages {
        romeo.say(message(200_000, "flood")).await;
    }
    peer
}

const LIMITS: &str =
    "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>20000</max-bytes></limits>";

#[tokio::test]
async fn who_asks_and_does_not_read_the_answers_waits() {
    let authority = Authority::new();
    let own = authority.certify(&["c.example"]);
    let (server, at) = TestServer::that_knows_c(&authority, free_port(), "").await;
    // Before anything is proven.
    let (mut peer, _) = open(at, Some(&own), "c.example", "a.example").await;
    let ask = "<db:result from='c.example' to='x.invalid'>k</db:result>";
    peer.say(ask.repeat(200)).await;
    let said = peer.hears("</stream:error>").await;
    assert!(said.contains("<policy-violation"), "{said}");
    assert_eq!(said.matches("<item-not-found").count(), 128);
    // After that.
    let mut peer = open_narrow(at, Some(&own), "c.example", "a.example").await;
    login(&mut peer, "c.example", "a.example").await;
    let id = "i".repeat(30_000);
    let ask = format!("<db:verify from='c.example' to='a.example' id='{id}'>k</db:verify>");
    let mut taken = 0;
    while taken < 64 << 20 {
        match timeout(Duration::from_secs(2), peer.writer.write_all(ask.as_bytes())).await {
            Ok(written) => written.unwrap(),
            Err(_) => break,
        }
        taken += ask.len();
    }
    assert!(taken < 32 << 20, "all was read: {taken}");
    // When the answers are read, it goes on. The last questions may still be in the buffer of TLS.
    for _ in 4..taken / ask.len() {
        peer.hears("type='invalid'").await;
    }
    server.close().await;
}

#[tokio::test]
async fn nothing_is_written_between_the_login_and_the_new_header() {
    let authority = Authority::new();
    let own = authority.certify(&["c.example"]);
    let (server, at) = TestServer::that_knows_c(&authority, free_port(), "").await;
    let mut romeo = server.online("romeo").await;
    let (mut peer, _) = open(at, Some(&own), "c.example", "a.example").await;
    peer.say("<bidi xmlns='urn:xmpp:bidi'/>").await;
    peer.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>").await;
    peer.hears("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
    romeo.say("<message to='x@c.example' type='chat'><body>hi</body></message>").await;
    romeo.say("<iq type='get' id='1' to='a.example'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    romeo.hears("id='1'").await;
    peer.say(header("c.example", "a.example")).await;
    let said = peer.hears("</stream:features>").await;
    assert!(!said.contains("<message"), "{said}");
    peer.hears("<body>hi</body>").await;
    server.close().await;
}

#[tokio::test]
async fn a_peer_that_takes_no_whole_stanza_is_left_alone() {
    let authority = Authority::new();
    let there = Listening::new(&authority.certify(&["c.example"])).await;
    let more = "[limits]\nstanza = '8 MiB'\ninbox_bytes = '16 MiB'\n[budgets]\n\
                remote_per_account = '64 MiB'\nmemory_per_account = '64 MiB'\n\
                traffic_per_account = '64 MiB'\ntraffic_per_address = '64 MiB'";
    let (server, _) = TestServer::that_knows_c(&authority, there.address, more).await;
    let mut romeo = server.online("romeo").await;
    // More than the sockets of both sides take.
    let body = "x".repeat(7_000_000);
    romeo.say(format!("<message to='x@c.example' type='chat'><body>{body}</body></message>")).await;
    let mut peer = there.believing("c.example", "").await;
    peer.hears("xxx").await;
    drop(peer);
    romeo.patience = Duration::from_secs(30);
    let error = romeo.hears("<error").await + &romeo.hears("</message>").await;
    assert!(error.contains("<remote-server-timeout"), "{error}");
    // It is not tried again at once.
    assert!(timeout(Duration::from_millis(500), there.accept()).await.is_err());
    romeo.say("<iq type='get' id='1' to='c.example'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    assert!(romeo.hears("</iq>").await.contains("<remote-server-timeout"));
    server.close().await;
}

#[tokio::test]
async fn what_is_larger_than_a_peer_takes_goes_back() {
    let authority = Authority::new();
    let there = Listening::new(&authority.certify(&["c.example"])).await;
    let (server, _) = TestServer::that_knows_c(&authority, there.address, "").await;
    let mut romeo = server.online("romeo").await;
    romeo.say(message(30_000, "large")).await;
    romeo.say(message(15_000, "small")).await;
    let mut peer = there.believing("c.example", LIMITS).await;
    let error = romeo.hears("<error").await + &romeo.hears("</message>").await;
    assert!(error.contains("<policy-violation") && !error.contains(" by="), "{error}");
    let heard = peer.hears("</message>").await;
    assert!(heard.contains("id='small'") && !heard.contains("id='large'"), "{heard}");
    server.close().await;
}

#[tokio::test]
async fn a_peer_says_on_its_own_stream_what_it_takes() {
    // XEP-0478 §4: in another place.
    let authority = Authority::new();
    let own = authority.certify(&["c.example"]);
    let (server, at) = TestServer::that_knows_c(&authority, free_port(), "").await;
    let mut romeo = server.online("romeo").await;
    let (mut peer, _) = open(at, Some(&own), "c.example", "a.example").await;
    peer.say(format!("<bidi xmlns='urn:xmpp:bidi'>{LIMITS}</bidi>")).await;
    login(&mut peer, "c.example", "a.example").await;
    romeo.say(message(30_000, "large")).await;
    romeo.say(message(15_000, "small")).await;
    let error = romeo.hears("<error").await + &romeo.hears("</message>").await;
    assert!(error.contains("<policy-violation"), "{error}");
    let heard = peer.hears("</message>").await;
    assert!(heard.contains("id='small'") && !heard.contains("id='large'"), "{heard}");
    server.close().await;
}

#[tokio::test]
async fn white_space_does_not_stand_for_reading() {
    let authority = Authority::new();
    let own = authority.certify(&["c.example"]);
    let more = "[limits]\nwrite = '1 s'\n[budgets]\nremote_per_account = '64 MiB'";
    let (server, at) = TestServer::that_knows_c(&authority, free_port(), more).await;
    let mut romeo = server.online("romeo").await;
    let mut peer = flooded(&mut romeo, at, &own, 15).await;
    // A space now and then, for longer than `limits.write`: the spaces are what is tried, not waited for.
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if peer.writer.write_all(b" ").await.is_err() || peer.writer.flush().await.is_err() {
            break;
        }
    }
    // What it has not taken goes back, since it cannot be reached any more.
    let error = romeo.hears("<error").await + &romeo.hears("</message>").await;
    assert!(error.contains("<remote-server-timeout"), "{error}");
    // Half a stanza does not hold a stream for ever, either.
    let (mut peer, _) = open(at, Some(&own), "c.example", "a.example").await;
    login(&mut peer, "c.example", "a.example").await;
    peer.say("<message from='x@c.example' to='romeo@a.example'><body>half").await;
    assert!(peer.hears("</stream:error>").await.contains("<connection-timeout"));
    server.close().await;
}

#[tokio::test]
async fn a_domain_that_sends_too_much_on_a_stream_of_ours_is_slowed_down() {
    let authority = Authority::new();
    let there = Listening::new(&authority.certify(&["c.example"])).await;
    let more = "[budgets]\ntraffic_per_domain = '20 KiB'\nburst = '1 s'";
    let (server, _) = TestServer::that_knows_c(&authority, there.address, more).await;
    let mut romeo = server.online("romeo").await;
    romeo.say("<message to='x@c.example' type='chat'><body>hi</body></message>").await;
    let mut peer = there.believing("c.example", "").await;
    peer.hears("</message>").await;
    let body = "x".repeat(10_000);
    for number in 0..5 {
        let message = "<message from='x@c.example' to='romeo@a.example' type='chat'>";
        peer.say(format!("{message}<body>{number}{body}</body></message>")).await;
    }
    for number in 0..5 {
        romeo.hears(&format!("<body>{number}")).await;
    }
    let delayed = "waxwing_budget_actions_total{budget=\"remote_traffic\",scope=\"account\",action=\"delay\"} ";
    assert!(server.metric(delayed) && !server.metric(&format!("{delayed}0")));
    server.close().await;
}

#[tokio::test]
async fn what_a_peer_says_after_we_have_ended_the_stream_is_carried() {
    let authority = Authority::new();
    let own = authority.certify(&["c.example"]);
    let there = Listening::new(&own).await;
    let (server, at) = TestServer::that_knows_c(&authority, there.address, "").await;
    let mut romeo = server.online("romeo").await;
    let late =
        "<message from='x@c.example' to='romeo@a.example' type='chat'><body>late</body></message>";
    let (mut peer, _) = open(at, Some(&own), "c.example", "a.example").await;
    login(&mut peer, "c.example", "a.example").await;
    let servers = server.server.state().remote_servers().unwrap();
    assert_eq!(servers.close("c.example"), 1);
    peer.hears("</stream:stream>").await;
    peer.say(late).await;
    peer.say("</stream:stream>").await;
    romeo.hears("<body>late</body>").await;
    // A stream of ours that goes both ways.
    romeo.say("<message to='x@c.example' type='chat'><body>hi</body></message>").await;
    let mut peer = there.believing("c.example", "").await;
    peer.hears("</message>").await;
    assert!(servers.close("c.example") > 0);
    peer.hears("</stream:stream>").await;
    peer.say(late).await;
    peer.say("</stream:stream>").await;
    romeo.hears("<body>late</body>").await;
    server.close().await;
}

#[tokio::test]
async fn what_waits_for_a_peer_that_does_not_read_is_counted() {
    let authority = Authority::new();
    let own = authority.certify(&["c.example"]);
    let more = "[budgets]\nremote_per_account = '600 KiB'";
    let (server, at) = TestServer::that_knows_c(&authority, free_port(), more).await;
    let mut romeo = server.online("romeo").await;
    let peer = flooded(&mut romeo, at, &own, 30).await;
    let error = romeo.hears("<error").await + &romeo.hears("</message>").await;
    assert!(error.contains("too much waits for other servers"), "{error}");
    drop(peer);
    server.close().await;
}

#[tokio::test]
async fn one_user_with_many_servers_that_are_mute_holds_up_nobody() {
    let authority = Authority::new();
    let (mute, there) = (
        Listening::new(&authority.certify(&["c.example"])).await,
        Listening::new(&authority.certify(&["d.example"])).await,
    );
    let names: Vec<_> = (0..200).map(|number| format!("m{number}.example")).collect();
    let mut hosts: Vec<_> =
        names.iter().map(|name| (name.as_str(), mute.address.to_string())).collect();
    hosts.push(("d.example", there.address.to_string()));
    let plan = Plan {
        domain: "a.example",
        address: free_port(),
        authority: &authority,
        certificate: authority.certify(&["a.example"]),
        hosts,
        more: "",
    };
    let server = TestServer::start(plan).await;
    let (mut romeo, mut juliet) = (server.online("romeo").await, server.online("juliet").await);
    for name in &names {
        romeo.say(format!("<message to='x@{name}' type='chat'><body>hi</body></message>")).await;
    }
    romeo.say("<iq type='get' id='1' to='a.example'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    romeo.hears("id='1'").await;
    juliet.say("<message to='x@d.example' type='chat'><body>hi</body></message>").await;
    let mut peer = there.believing("d.example", "").await;
    peer.hears("<body>hi</body>").await;
    server.close().await;
}
