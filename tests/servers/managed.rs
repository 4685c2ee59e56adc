//! Stream management between servers (XEP-0198): nothing that is lost on the way is lost, and what was acknowledged does
//! not come twice; and servers that are asked whether they are still there (XEP-0199).

use std::time::Duration;

use super::peer::Peer;
use super::remote::{DIALBACK, Listening, header, login, open};
use super::test_server::{Authority, Pair, TestServer, free_port};

pub(super) const SM: &str = "<sm xmlns='urn:xmpp:sm:3'/>";
pub(super) const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3'/>";
/// What the server says, which would hear how much was handled.
pub(super) const ASKS: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
pub(super) const ENABLED: &str = "<enabled xmlns='urn:xmpp:sm:3'/>";
pub(super) const ASK: &str = "<r xmlns='urn:xmpp:sm:3'/>";

pub(super) fn handled(h: u32) -> String {
    format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>")
}

pub(super) async fn writes(romeo: &mut Peer, numbers: std::ops::Range<u32>) {
    for number in numbers {
        romeo
            .say(format!(
                "<message to='x@c.example' type='chat' id='m{number}'><body>{number}</body></message>"
            ))
            .await;
    }
}

/// The peer gets these messages, in this order, and no others.
pub(super) async fn gets(peer: &mut Peer, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let heard = peer.hears("</message>").await;
        assert!(heard.contains(&format!("<body>{number}</body>")), "{number}: {heard}");
        assert_eq!(heard.matches("<message ").count(), 1, "{number}: {heard}");
    }
}

/// A stream of the server on which what it sends is acknowledged. After a cut the peer does not tell how much it has handled.
pub(super) async fn managed(there: &Listening) -> Peer {
    let mut peer = there.believing("c.example", SM).await;
    peer.hears(ASKS).await;
    peer.say(ENABLED).await;
    peer
}

/// The same, with a peer that may tell it.
pub(super) async fn managed_as(there: &Listening, id: &str) -> Peer {
    let mut peer = there.believing("c.example", SM).await;
    peer.hears(ASKS).await;
    peer.say(format!("<enabled xmlns='urn:xmpp:sm:3' id='{id}' resume='true'/>")).await;
    peer
}

/// The next stream, on which the peer is asked about the one with this id, and says what it knows.
pub(super) async fn asked(there: &Listening, id: &str, knows: &str) -> Peer {
    let mut peer = there.believing("c.example", SM).await;
    peer.hears(&format!("<resume xmlns='urn:xmpp:sm:3' h='0' previd='{id}'/>")).await;
    peer.say(format!(
        "<failed xmlns='urn:xmpp:sm:3'{knows}>\
         <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
    ))
    .await;
    peer.hears(ASKS).await;
    peer.say(ENABLED).await;
    peer
}

/// The messages come back: nobody knows whether they have arrived.
pub(super) async fn come_back(romeo: &mut Peer, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let error = romeo.hears("</message>").await;
        assert!(error.contains(&format!("id='m{number}'")), "{number}: {error}");
        assert!(error.contains("<remote-server-timeout") && error.contains("or not<"), "{error}");
    }
}

#[tokio::test]
async fn what_another_server_sends_is_acknowledged_when_it_is_carried() {
    let authority = Authority::new();
    let own = authority.certify(&["c.example"]);
    let (server, at) = TestServer::that_knows_c(&authority, free_port(), "").await;
    let mut romeo = server.online("romeo").await;
    let (mut peer, offered) = open(at, Some(&own), "c.example", "a.example").await;
    assert!(!offered.contains(SM), "{offered}");
    peer.say(ENABLE).await;
    let heard = peer.hears("</failed>").await;
    assert!(heard.contains("<unexpected-request "), "{heard}");
    peer.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>").await;
    peer.hears("<success").await;
    peer.hears(">").await;
    peer.say(header("c.example", "a.example")).await;
    let offered = peer.hears("</stream:features>").await;
    assert!(offered.contains(SM), "{offered}");
    // No stream is resumed.
    peer.say("<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>").await;
    let heard = peer.hears("</failed>").await;
    assert!(heard.contains("<item-not-found "), "{heard}");
    // What came before is not counted.
    let message = |number: u32| {
        format!(
            "<message from='x@c.example' to='romeo@a.example' type='chat'><body>{number}</body></message>"
        )
    };
    peer.say(message(0)).await;
    peer.say(ENABLE).await;
    peer.hears(ENABLED).await;
    peer.say(ASK).await;
    peer.hears(&handled(0)).await;
    for number in 1..40 {
        peer.say(message(number)).await;
    }
    // A stanza with a fault is answered, and counts.
    peer.say("<iq from='x@c.example' to='romeo@a.example' type='get' id='i'/>").await;
    peer.say(ASK).await;
    peer.hears(&handled(40)).await;
    for number in 0..40 {
        romeo.hears(&format!("<body>{number}</body>")).await;
    }
    peer.say(ENABLE).await;
    let heard = peer.hears("</failed>").await;
    assert!(heard.contains("<unexpected-request "), "{heard}");
    // The last word.
    peer.say(message(40)).await;
    peer.say("</stream:stream>").await;
    peer.hears(&handled(41)).await;
    peer.hears("</stream:stream>").await;
    for (said, condition) in [
        (handled(1), "<handled-count-too-high "),
        ("<a xmlns='urn:xmpp:sm:3'/>".to_owned(), "<invalid-xml "),
        ("<b xmlns='urn:xmpp:sm:3'/>".to_owned(), "<unsupported-stanza-type "),
    ] {
        let (mut peer, _) = open(at, Some(&own), "c.example", "a.example").await;
        login(&mut peer, "c.example", "a.example").await;
        peer.say(ENABLE).await;
        peer.hears(ENABLED).await;
        peer.say(&said).await;
        let heard = peer.hears("</stream:error>").await;
        assert!(heard.contains(condition), "{said}: {heard}");
    }
    server.close().await;
}

#[tokio::test]
async fn what_was_not_acknowledged_is_sent_again() {
    let authority = Authority::new();
    let there = Listening::new(&authority.certify(&["c.example"])).await;
    let (server, _) = TestServer::that_knows_c(&authority, there.address, "").await;
    let mut romeo = server.online("romeo").await;
    writes(&mut romeo, 0..3).await;
    let mut peer = managed_as(&there, "s1").await;
    gets(&mut peer, 0..3).await;
    peer.say(handled(1)).await;
    // The connection is cut, and the peer knows that it has handled no more.
    drop(peer);
    let mut peer = asked(&there, "s1", " h='1'").await;
    gets(&mut peer, 1..3).await;
    peer.say(handled(2)).await;
    writes(&mut romeo, 3..6).await;
    gets(&mut peer, 3..6).await;
    // The last word of the other server: nobody will know whether it has the others.
    peer.say(handled(3) + "</stream:stream>").await;
    peer.hears("</stream:stream>").await;
    come_back(&mut romeo, 4..6).await;
    writes(&mut romeo, 6..8).await;
    let mut peer = managed_as(&there, "s2").await;
    gets(&mut peer, 6..8).await;
    peer.say(handled(1)).await;
    // What is acknowledged no longer counts.
    peer.say(handled(3)).await;
    let heard = peer.hears("</stream:error>").await;
    assert!(
        heard.contains("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='3' send-count='2'"),
        "{heard}"
    );
    drop(peer);
    let mut peer = asked(&there, "s2", " h='1'").await;
    gets(&mut peer, 7..8).await;
    peer.say(handled(1)).await;
    server.close().await;
}

#[tokio::test]
async fn stanzas_are_acknowledged_after_dialback_too() {
    let authority = Authority::new();
    let there = Listening::new(&Pair::self_signed("c.example")).await;
    let (server, at) =
        TestServer::that_knows_c(&authority, there.address, "dialback = 'c.example'").await;
    let mut romeo = server.online("romeo").await;
    // Ours.
    writes(&mut romeo, 0..2).await;
    let (mut peer, _) = there.stream("c.example", "1", &format!("{DIALBACK}{SM}")).await;
    peer.hears("</db:result>").await;
    peer.say("<db:result from='c.example' to='a.example' type='valid'/>").await;
    peer.hears(ASKS).await;
    peer.say("<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true'/>").await;
    gets(&mut peer, 0..2).await;
    peer.hears(ASK).await;
    peer.say(handled(1)).await;
    drop(peer);
    let (mut peer, _) = there.stream("c.example", "1", &format!("{DIALBACK}{SM}")).await;
    peer.hears("</db:result>").await;
    peer.say("<db:result from='c.example' to='a.example' type='valid'/>").await;
    peer.hears("<resume xmlns='urn:xmpp:sm:3' h='0' previd='s1'/>").await;
    peer.say(
        "<failed xmlns='urn:xmpp:sm:3' h='1'>\
         <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
    )
    .await;
    peer.hears(ASKS).await;
    peer.say(ENABLED).await;
    gets(&mut peer, 1..2).await;
    peer.say(handled(1)).await;
    // Theirs.
    let (mut peer, offered) = open(at, None, "c.example", "a.example").await;
    assert!(offered.contains(SM), "{offered}");
    peer.say("<db:result from='c.example' to='a.example'>key</db:result>").await;
    let (mut asked, _) = there.stream("c.example", "2", DIALBACK).await;
    let question = asked.hears("</db:verify>").await;
    let id = question.split("id='").nth(1).unwrap().split('\'').next().unwrap();
    let answer = format!("<db:verify from='c.example' to='a.example' id='{id}' type='valid'/>");
    asked.say(answer).await;
    peer.hears("type='valid'/>").await;
    peer.say(ENABLE).await;
    peer.hears(ENABLED).await;
    peer.say(
        "<message from='x@c.example' to='romeo@a.example' type='chat'><body>hi</body></message>",
    )
    .await;
    peer.say(ASK).await;
    peer.hears(&handled(1)).await;
    romeo.hears("<body>hi</body>").await;
    server.close().await;
}

#[tokio::test]
async fn a_server_that_refuses_to_acknowledge_gets_each_stanza_once() {
    let authority = Authority::new();
    let there = Listening::new(&authority.certify(&["c.example"])).await;
    let (server, _) = TestServer::that_knows_c(&authority, there.address, "").await;
    let mut romeo = server.online("romeo").await;
    writes(&mut romeo, 0..2).await;
    let mut peer = there.believing("c.example", SM).await;
    peer.hears(ASKS).await;
    peer.say(
        "<failed xmlns='urn:xmpp:sm:3'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
    )
    .await;
    gets(&mut peer, 0..2).await;
    drop(peer);
    let servers = server.server.state().remote_servers().unwrap();
    while !servers.streams().is_empty() {
        tokio::task::yield_now().await;
    }
    writes(&mut romeo, 2..3).await;
    let mut peer = there.believing("c.example", "").await;
    gets(&mut peer, 2..3).await;
    server.close().await;
}

#[tokio::test]
async fn a_server_that_never_acknowledges_is_given_up() {
    let authority = Authority::new();
    let there = Listening::new(&authority.certify(&["c.example"])).await;
    let (server, _) =
        TestServer::that_knows_c(&authority, there.address, "[limits]\nwrite = '1 s'").await;
    let mut romeo = server.online("romeo").await;
    romeo.patience = Duration::from_secs(30);
    writes(&mut romeo, 0..1).await;
    let mut peer = managed(&there).await;
    gets(&mut peer, 0..1).await;
    peer.hears(ASK).await;
    let line = std::panic::Location::caller();
    assert!(peer.read_to("</never>", line).await.is_none(), "the stream is given up");
    come_back(&mut romeo, 0..1).await;
    // Presence is tried twice.
    romeo.say("<presence to='x@c.example'/>").await;
    for _ in 0..2 {
        let mut peer = managed(&there).await;
        peer.hears("<presence ").await;
        peer.hears(ASK).await;
        assert!(peer.read_to("</never>", line).await.is_none(), "the stream is given up");
    }
    let error = romeo.hears("</presence>").await;
    assert!(error.contains("type='error'") && error.contains("<remote-server-timeout"), "{error}");
    server.close().await;
}

#[tokio::test]
async fn what_was_not_acknowledged_on_a_stream_of_a_peer_goes_by_one_of_ours() {
    let authority = Authority::new();
    let own = authority.certify(&["c.example"]);
    let there = Listening::new(&own).await;
    let (server, at) = TestServer::that_knows_c(&authority, there.address, "").await;
    let mut romeo = server.online("romeo").await;
    let (mut peer, _) = open(at, Some(&own), "c.example", "a.example").await;
    peer.say("<bidi xmlns='urn:xmpp:bidi'/>").await;
    login(&mut peer, "c.example", "a.example").await;
    // What was sent before is not counted.
    writes(&mut romeo, 0..1).await;
    gets(&mut peer, 0..1).await;
    peer.say(ASKS).await;
    let heard = peer.hears("/>").await;
    let (_, id) = heard.split_once("<enabled xmlns='urn:xmpp:sm:3' id='").unwrap();
    let id = id.split('\'').next().unwrap().to_owned();
    writes(&mut romeo, 1..4).await;
    gets(&mut peer, 1..2).await;
    peer.hears(ASK).await;
    peer.say(handled(1)).await;
    // In good order.
    peer.say("</stream:stream>").await;
    drop(peer);
    let mut peer = asked(&there, &id, " h='1'").await;
    gets(&mut peer, 2..4).await;
    peer.say(handled(2)).await;
    server.close().await;
}

#[tokio::test]
async fn who_says_nothing_is_asked_whether_it_is_there() {
    let authority = Authority::new();
    let there = Listening::new(&authority.certify(&["c.example"])).await;
    let more = "ping = '1 s'\n[limits]\nwrite = '2 s'";
    let (server, _) = TestServer::that_knows_c(&authority, there.address, more).await;
    let mut romeo = server.online("romeo").await;
    writes(&mut romeo, 0..1).await;
    let mut peer = there.believing("c.example", "").await;
    gets(&mut peer, 0..1).await;
    for _ in 0..2 {
        let heard = peer.hears("<ping xmlns='urn:xmpp:ping'/></iq>").await;
        assert!(heard.contains("from='a.example' to='c.example'"), "{heard}");
        let (_, id) = heard.split_once(" id='").unwrap();
        let id = id.split('\'').next().unwrap();
        peer.say(format!("<iq type='result' id='{id}' from='c.example' to='a.example'/>")).await;
    }
    // Now it does not answer.
    peer.hears("<ping ").await;
    assert!(peer.read_to("</never>", std::panic::Location::caller()).await.is_none());
    // By an acknowledgement, if there are any.
    writes(&mut romeo, 1..2).await;
    let mut peer = managed(&there).await;
    gets(&mut peer, 1..2).await;
    peer.hears(ASK).await;
    peer.say(handled(1)).await;
    let heard = peer.hears(ASK).await;
    assert!(!heard.contains("<ping"), "{heard}");
    peer.say(handled(1)).await;
    peer.hears(ASK).await;
    server.close().await;
}
