//! Domains that administrators allow and deny by commands.

use super::peer::Peer;
use super::test_server::Two;

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
