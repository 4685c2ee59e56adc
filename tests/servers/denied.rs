//! Domains that administrators allow and deny, by commands and by the configuration.

use super::managed::{gets, managed_as, writes};
use super::peer::Peer;
use super::remote::{DIALBACK, Listening, open};
use super::test_server::{Authority, Pair, TestServer, Two};

async fn is_refused(client: &mut Peer, to: &str, condition: &str) {
    client.say(format!("<message to='x@{to}' type='chat' id='{to}'><body/></message>")).await;
    let error = client.hears("</message>").await;
    assert!(error.contains(&format!("id='{to}'")), "{to}: {error}");
    assert!(error.contains(&format!("<{condition} ")), "{to}: {error}");
}

#[tokio::test]
async fn a_domain_is_denied_and_allowed_at_once_and_after_a_restart() {
    let mut two = Two::certified("").await;
    let mut romeo = two.a.online("romeo").await;
    let mut juliet = two.b.online("juliet").await;
    romeo.say("<message to='juliet@b.example' type='chat'><body>one</body></message>").await;
    juliet.hears("<body>one</body>").await;
    juliet.hears("</message>").await;
    let remote = two.a.server.state().remote_servers().unwrap();
    assert!(remote.set_rule("*.b.example", Some(false)).await.unwrap());
    while !remote.streams().is_empty() {
        tokio::task::yield_now().await;
    }
    is_refused(&mut romeo, "b.example", "remote-server-not-found").await;
    is_refused(&mut romeo, "conference.b.example", "remote-server-not-found").await;
    // Nothing comes from there, either.
    juliet.say("<message to='romeo@a.example' type='chat' id='j'><body>two</body></message>").await;
    let error = juliet.hears("</message>").await;
    assert!(error.contains("id='j'") && error.contains("<remote-server-"), "{error}");
    drop((romeo, remote));
    two.a.restart().await;
    let mut romeo = two.a.online("romeo").await;
    is_refused(&mut romeo, "b.example", "remote-server-not-found").await;
    let remote = two.a.server.state().remote_servers().unwrap();
    let facts = format!("{:?}", remote.show("b.example"));
    assert!(facts.contains("`s2s deny *.b.example` was given"), "{facts}");
    assert_eq!(remote.stored_rules().len(), 1);
    assert!(remote.set_rule("b.example", Some(true)).await.unwrap());
    romeo.say("<message to='juliet@b.example' type='chat'><body>three</body></message>").await;
    juliet.hears("<body>three</body>").await;
    is_refused(&mut romeo, "conference.b.example", "remote-server-not-found").await;
    assert!(remote.set_rule("*.b.example", None).await.unwrap());
    assert!(!remote.set_rule("*.b.example", None).await.unwrap());
    two.close().await;
}

#[tokio::test]
async fn a_reload_ends_the_streams_of_domains_that_it_denies() {
    let two = Two::certified("").await;
    let mut romeo = two.a.online("romeo").await;
    let mut juliet = two.b.online("juliet").await;
    romeo.say("<message to='juliet@b.example' type='chat'><body>one</body></message>").await;
    juliet.hears("<body>one</body>").await;
    two.a.deny(&["b.example"]);
    let remote = two.a.server.state().remote_servers().unwrap();
    while !remote.streams().is_empty() {
        tokio::task::yield_now().await;
    }
    is_refused(&mut romeo, "b.example", "remote-server-not-found").await;
    two.a.deny(&[]);
    romeo.say("<message to='juliet@b.example' type='chat'><body>two</body></message>").await;
    juliet.hears("<body>two</body>").await;
    two.close().await;
}

#[tokio::test]
async fn what_waits_for_a_domain_that_is_denied_comes_back() {
    let authority = Authority::new();
    let there = Listening::new(&authority.certify(&["c.example"])).await;
    let (server, _) = TestServer::that_knows_c(&authority, there.address, "").await;
    let mut romeo = server.online("romeo").await;
    writes(&mut romeo, 0..1).await;
    let mut peer = managed_as(&there, "s1").await;
    gets(&mut peer, 0..1).await;
    server.deny(&["c.example"]);
    peer.hears("</stream:stream>").await;
    peer.say("</stream:stream>").await;
    // Nobody connects again to ask how much was handled.
    let error = romeo.hears("</message>").await;
    assert!(error.contains("id='m0'") && error.contains("<remote-server-not-found"), "{error}");
    server.close().await;
}

#[tokio::test]
async fn a_stream_that_has_begun_before_proves_nothing_that_is_denied() {
    let authority = Authority::new();
    let there = Listening::new(&Pair::self_signed("c.example")).await;
    let (server, at) =
        TestServer::that_knows_c(&authority, there.address, "policy = 'dialback'").await;
    let ask = "<db:result from='c.example' to='a.example'>key</db:result>";
    let (mut early, _) = open(at, None, "c.example", "a.example").await;
    let (mut asking, _) = open(at, None, "c.example", "a.example").await;
    asking.say(ask).await;
    let (mut asked, _) = there.stream("c.example", "1", DIALBACK).await;
    let question = asked.hears("</db:verify>").await;
    server.deny(&["c.example"]);
    let id = question.split("id='").nth(1).unwrap().split('\'').next().unwrap();
    let answer = format!("<db:verify from='c.example' to='a.example' id='{id}' type='valid'/>");
    asked.say(answer).await;
    early.say(ask).await;
    for peer in [&mut early, &mut asking] {
        let result = peer.hears("</db:result>").await;
        assert!(result.contains("<policy-violation"), "{result}");
    }
    server.deny(&[]);
    early.say(ask).await;
    let (mut asked, _) = there.stream("c.example", "2", DIALBACK).await;
    asked.hears("</db:verify>").await;
    server.close().await;
}
