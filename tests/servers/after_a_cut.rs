//! What waits after a stream with stream management (XEP-0198) was cut: the other server is asked how much it has handled.
//! What it may have, and nobody can know, goes back to who has sent it.

use super::managed::{
    ASK, ASKS, ENABLE, ENABLED, SM, asked, come_back, gets, handled, managed, managed_as, writes,
};
use super::remote::{Listening, login, open};
use super::test_server::{Authority, TestServer, free_port};

#[tokio::test]
async fn what_a_peer_may_have_does_not_come_twice() {
    let authority = Authority::new();
    let there = Listening::new(&authority.certify(&["c.example"])).await;
    let (server, _) = TestServer::that_knows_c(&authority, there.address, "").await;
    let mut romeo = server.online("romeo").await;
    writes(&mut romeo, 0..3).await;
    romeo.say("<presence to='x@c.example'><status>here</status></presence>").await;
    let mut peer = managed(&there).await;
    gets(&mut peer, 0..3).await;
    peer.hears("<status>here</status>").await;
    peer.say(handled(1)).await;
    // The connection is cut, and the peer has said that it will not tell more.
    drop(peer);
    come_back(&mut romeo, 1..3).await;
    // Presence says the same twice.
    let mut peer = managed_as(&there, "s1").await;
    peer.hears("<status>here</status>").await;
    peer.say(handled(1)).await;
    writes(&mut romeo, 3..5).await;
    gets(&mut peer, 3..5).await;
    peer.say(handled(2)).await;
    // This one would have told it, but has forgotten it when it comes back.
    drop(peer);
    let mut peer = asked(&there, "s1", "").await;
    come_back(&mut romeo, 4..5).await;
    writes(&mut romeo, 5..6).await;
    gets(&mut peer, 5..6).await;
    peer.say(handled(1)).await;
    server.close().await;
}

#[tokio::test]
async fn what_a_peer_may_have_on_its_own_stream_does_not_come_twice() {
    let authority = Authority::new();
    let own = authority.certify(&["c.example"]);
    let (server, at) = TestServer::that_knows_c(&authority, free_port(), "").await;
    let mut romeo = server.online("romeo").await;
    let (mut peer, _) = open(at, Some(&own), "c.example", "a.example").await;
    peer.say("<bidi xmlns='urn:xmpp:bidi'/>").await;
    login(&mut peer, "c.example", "a.example").await;
    peer.say(ENABLE).await;
    peer.hears(ENABLED).await;
    writes(&mut romeo, 0..3).await;
    gets(&mut peer, 0..3).await;
    peer.say(handled(1)).await;
    // The server has heard it.
    peer.say(ASK).await;
    peer.hears(&handled(0)).await;
    // The connection is cut.
    drop(peer);
    come_back(&mut romeo, 1..3).await;
    server.close().await;
}

/// Ends of a stream of a peer that is there: in good order, with an error, and none.
const ENDS: [&str; 3] = [
    "</stream:stream>",
    "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
    "",
];

#[tokio::test]
async fn what_a_peer_may_have_comes_back_however_the_stream_ends() {
    let authority = Authority::new();
    let own = authority.certify(&["c.example"]);
    let there = Listening::new(&own).await;
    let (server, at) =
        TestServer::that_knows_c(&authority, there.address, "[limits]\nwrite = '1 s'").await;
    let mut romeo = server.online("romeo").await;
    for (number, end) in (0..).step_by(2).zip(ENDS) {
        writes(&mut romeo, number..number + 2).await;
        let mut peer = managed(&there).await;
        gets(&mut peer, number..number + 2).await;
        peer.say(handled(1) + end).await;
        if end.is_empty() {
            drop(peer);
        }
        come_back(&mut romeo, number + 1..number + 2).await;
    }
    // On streams of its own. In the end it says nothing more, and the server ends the stream.
    for (number, end) in (10..).step_by(2).zip(ENDS) {
        let (mut peer, _) = open(at, Some(&own), "c.example", "a.example").await;
        peer.say("<bidi xmlns='urn:xmpp:bidi'/>").await;
        login(&mut peer, "c.example", "a.example").await;
        peer.say(ENABLE).await;
        peer.hears(ENABLED).await;
        writes(&mut romeo, number..number + 2).await;
        gets(&mut peer, number..number + 2).await;
        peer.say(handled(1) + end).await;
        if end.is_empty() {
            let heard = peer.hears("</stream:error>").await;
            assert!(heard.contains("<connection-timeout"), "{heard}");
        }
        come_back(&mut romeo, number + 1..number + 2).await;
    }
    server.close().await;
}

#[tokio::test]
async fn a_stream_that_the_other_server_resumes_goes_on() {
    let authority = Authority::new();
    let there = Listening::new(&authority.certify(&["c.example"])).await;
    let (server, _) = TestServer::that_knows_c(&authority, there.address, "").await;
    let mut romeo = server.online("romeo").await;
    let answer = |number: u32| {
        format!(
            "<message from='x@c.example' to='romeo@a.example' type='chat'><body>to {number}</body></message>"
        )
    };
    writes(&mut romeo, 0..3).await;
    let mut peer = managed_as(&there, "s1").await;
    gets(&mut peer, 0..3).await;
    for number in 0..2 {
        peer.say(answer(number)).await;
        romeo.hears(&format!("<body>to {number}</body>")).await;
    }
    peer.say(handled(1)).await;
    drop(peer);
    let mut peer = there.believing("c.example", SM).await;
    peer.hears("<resume xmlns='urn:xmpp:sm:3' h='2' previd='s1'/>").await;
    peer.say("<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='2'/>").await;
    // Both counts go on.
    gets(&mut peer, 2..3).await;
    peer.say(handled(3)).await;
    peer.say(answer(2) + ASK).await;
    peer.hears(&handled(3)).await;
    romeo.hears("<body>to 2</body>").await;
    writes(&mut romeo, 3..5).await;
    gets(&mut peer, 3..5).await;
    // So does the id.
    drop(peer);
    let mut peer = there.believing("c.example", SM).await;
    peer.hears("<resume xmlns='urn:xmpp:sm:3' h='3' previd='s1'/>").await;
    // It has something to say before it answers.
    peer.say(answer(3) + "<failed xmlns='urn:xmpp:sm:3' h='4'/>").await;
    peer.hears(ASKS).await;
    peer.say(ENABLED).await;
    romeo.hears("<body>to 3</body>").await;
    gets(&mut peer, 4..5).await;
    peer.say(handled(1)).await;
    server.close().await;
}

#[tokio::test]
async fn a_peer_is_asked_what_it_has_handled_on_its_own_stream() {
    let authority = Authority::new();
    let own = authority.certify(&["c.example"]);
    let there = Listening::new(&own).await;
    let (server, at) = TestServer::that_knows_c(&authority, there.address, "").await;
    let mut romeo = server.online("romeo").await;
    let (mut peer, _) = open(at, Some(&own), "c.example", "a.example").await;
    peer.say("<bidi xmlns='urn:xmpp:bidi'/>").await;
    login(&mut peer, "c.example", "a.example").await;
    peer.say(ASKS).await;
    let heard = peer.hears("/>").await;
    let (_, id) = heard.split_once("<enabled xmlns='urn:xmpp:sm:3' id='").unwrap();
    let id = id.split('\'').next().unwrap().to_owned();
    writes(&mut romeo, 0..3).await;
    gets(&mut peer, 0..3).await;
    drop(peer);
    // By the id that it was told.
    let mut peer = asked(&there, &id, " h='2'").await;
    gets(&mut peer, 2..3).await;
    peer.say(handled(1)).await;
    server.close().await;
}

#[tokio::test]
async fn the_other_server_is_told_what_was_handled_on_a_stream_of_ours() {
    let authority = Authority::new();
    let own = authority.certify(&["c.example"]);
    let there = Listening::new(&own).await;
    let (server, at) = TestServer::that_knows_c(&authority, there.address, "").await;
    let mut romeo = server.online("romeo").await;
    writes(&mut romeo, 0..1).await;
    let mut peer = managed_as(&there, "s1").await;
    gets(&mut peer, 0..1).await;
    for number in 0..2 {
        peer.say(format!(
            "<message from='x@c.example' to='romeo@a.example' type='chat'><body>to {number}</body></message>"
        ))
        .await;
        romeo.hears(&format!("<body>to {number}</body>")).await;
    }
    // The server does not know yet that the stream is cut.
    let (mut again, _) = open(at, Some(&own), "c.example", "a.example").await;
    login(&mut again, "c.example", "a.example").await;
    again.say("<resume xmlns='urn:xmpp:sm:3' previd='s1' h='0'/>").await;
    let heard = again.hears("</failed>").await;
    assert!(heard.contains("<failed xmlns='urn:xmpp:sm:3' h='2'><item-not-found "), "{heard}");
    server.close().await;
}

#[tokio::test]
async fn who_comes_back_is_told_how_much_was_handled() {
    let authority = Authority::new();
    let [own, other] = ["c.example", "d.example"].map(|domain| authority.certify(&[domain]));
    let (server, at) = TestServer::that_knows_c(&authority, free_port(), "").await;
    let mut romeo = server.online("romeo").await;
    let (mut peer, _) = open(at, Some(&own), "c.example", "a.example").await;
    login(&mut peer, "c.example", "a.example").await;
    peer.say(ASKS).await;
    let heard = peer.hears("/>").await;
    let (_, id) = heard.split_once("<enabled xmlns='urn:xmpp:sm:3' id='").unwrap();
    assert!(id.ends_with("' resume='true'/>"), "{heard}");
    let id = id.split('\'').next().unwrap();
    let resume = format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='0'/>");
    for number in 0..3 {
        peer.say(format!(
            "<message from='x@c.example' to='romeo@a.example' type='chat'><body>{number}</body></message>"
        ))
        .await;
    }
    // Somebody else knows the id.
    let (mut stranger, _) = open(at, Some(&other), "d.example", "a.example").await;
    login(&mut stranger, "d.example", "a.example").await;
    stranger.say(&resume).await;
    let heard = stranger.hears("</failed>").await;
    assert!(heard.contains("<failed xmlns='urn:xmpp:sm:3'><item-not-found "), "{heard}");
    // The server does not know yet that the stream is cut.
    let (mut again, _) = open(at, Some(&own), "c.example", "a.example").await;
    login(&mut again, "c.example", "a.example").await;
    again.say(&resume).await;
    let heard = again.hears("</failed>").await;
    assert!(heard.contains("<failed xmlns='urn:xmpp:sm:3' h='3'><item-not-found "), "{heard}");
    for number in 0..3 {
        romeo.hears(&format!("<body>{number}</body>")).await;
    }
    // Once.
    again.say(&resume).await;
    let heard = again.hears("</failed>").await;
    assert!(heard.contains("<failed xmlns='urn:xmpp:sm:3'><item-not-found "), "{heard}");
    again.say(ENABLE).await;
    again.hears(ENABLED).await;
    peer.hears("</stream:stream>").await;
    server.close().await;
}

#[tokio::test]
async fn what_was_handled_does_not_come_twice() {
    let authority = Authority::new();
    let there = Listening::new(&authority.certify(&["c.example"])).await;
    let (server, _) = TestServer::that_knows_c(&authority, there.address, "").await;
    let mut romeo = server.online("romeo").await;
    writes(&mut romeo, 0..4).await;
    let mut peer = there.believing("c.example", SM).await;
    peer.hears(ASKS).await;
    peer.say("<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true'/>").await;
    gets(&mut peer, 0..4).await;
    peer.say(handled(1)).await;
    drop(peer);
    let mut peer = asked(&there, "s1", " h='3'").await;
    gets(&mut peer, 3..4).await;
    peer.say(handled(1)).await;
    server.close().await;
}
