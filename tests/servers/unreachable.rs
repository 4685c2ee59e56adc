//! Servers that are not there, do not answer, or are not to be talked to.

use super::recorder::Records;
use super::remote::{Listening, header};
use super::test_server::{Authority, Plan, TestServer, free_port};

#[tokio::test]
async fn each_waiting_stanza_comes_back_with_an_error() {
    let authority = Authority::new();
    let closed = free_port().to_string();
    let (server, own) =
        TestServer::that_knows(&authority, vec![("c.example", closed)], "deny = 'bad.example'")
            .await;
    let mut romeo = server.online("romeo").await;
    for number in 0..20 {
        romeo
            .say(format!(
                "<message id='{number}' to='x@c.example' type='chat'><body>hi</body></message>"
            ))
            .await;
    }
    let mut missing: Vec<_> = (0..20).map(|number| format!("id='{number}'")).collect();
    for _ in 0..20 {
        let error = romeo.hears("</message>").await;
        missing.retain(|id| !error.contains(id));
        assert!(error.contains("from='x@c.example'"), "{error}");
        assert!(error.contains("<remote-server-timeout"), "{error}");
    }
    assert!(missing.is_empty(), "{missing:?}");
    romeo.say("<iq type='get' id='ping' to='c.example'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    assert!(romeo.hears("</iq>").await.contains("<remote-server-timeout"));
    romeo.say("<message to='x@bad.example' type='chat'><body>hi</body></message>").await;
    assert!(romeo.hears("</message>").await.contains("<remote-server-not-found"));
    // No error answers an error.
    romeo.say("<message type='error' to='x@c.example'><body>hi</body></message>").await;
    romeo.say("<iq type='get' id='end' to='a.example'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    let rest = romeo.hears("id='end'").await;
    assert!(!rest.contains("<message"), "{rest}");
    assert!(own.port() > 0);
    server.close().await;
}

#[tokio::test]
async fn the_log_says_why_a_stanza_did_not_reach_another_server() {
    let records = Records::begin();
    let authority = Authority::new();
    let closed = free_port().to_string();
    let (server, _) = TestServer::that_knows(&authority, vec![("c.example", closed)], "").await;
    let mut romeo = server.online("romeo").await;
    romeo.say("<message id='error' to='x@c.example' type='error'/>").await;
    romeo.say("<message id='back' to='x@c.example' type='chat'><body>hi</body></message>").await;
    romeo.hears("<remote-server-timeout").await;
    for (id, word) in [("error", "dropped"), ("back", "bounced")] {
        let found = records.of(id);
        let [taken, returned] = found.as_slice() else { panic!("{found:#?}") };
        assert_eq!(taken, "handed over");
        let expected = format!("{word} condition=\"remote-server-timeout\" reason=\"");
        assert!(returned.starts_with(&expected), "{returned}");
    }
    server.close().await;
}

#[tokio::test]
async fn a_server_that_leads_to_ourselves_is_none() {
    let authority = Authority::new();
    let address = free_port();
    let plan = Plan {
        domain: "a.example",
        address,
        authority: &authority,
        certificate: authority.certify(&["a.example", "c.example"]),
        hosts: vec![("c.example", address.to_string())],
        more: "",
    };
    let server = TestServer::start(plan).await;
    let mut romeo = server.online("romeo").await;
    romeo.say("<message to='x@c.example' type='chat'><body>hi</body></message>").await;
    assert!(romeo.hears("</message>").await.contains("<remote-server-not-found"));
    server.close().await;
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let authority = Authority::new();
    let mute = Listening::new(&authority.certify(&["c.example"])).await;
    let hosts = vec![("c.example", mute.address.to_string())];
    let (server, _) = TestServer::that_knows(&authority, hosts, "connect = '5 s'").await;
    let mut romeo = server.online("romeo").await;
    romeo.patience = std::time::Duration::from_secs(30);
    romeo.say("<message to='x@c.example' type='chat'><body>hi</body></message>").await;
    let held = mute.accept().await;
    assert!(romeo.hears("</message>").await.contains("<remote-server-timeout"));
    drop(held);
    server.close().await;
}

#[tokio::test]
async fn what_another_server_says_at_first_tells_the_sender_why() {
    let authority = Authority::new();
    let there = Listening::new(&authority.certify(&["c.example", "d.example"])).await;
    let hosts = ["c.example", "d.example"].map(|domain| (domain, there.address.to_string()));
    let (server, _) = TestServer::that_knows(&authority, hosts.to_vec(), "").await;
    let mut romeo = server.online("romeo").await;
    romeo.say("<message to='x@c.example' type='chat'><body>hi</body></message>").await;
    let mut peer = there.accept().await;
    peer.hears("to='c.example'").await;
    let error =
        "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    peer.say(format!("{}{error}</stream:stream>", header("c.example", "a.example"))).await;
    assert!(romeo.hears("</message>").await.contains("<remote-server-not-found"));
    // Without TLS nothing goes.
    romeo.say("<message to='x@d.example' type='chat'><body>hi</body></message>").await;
    let mut peer = there.accept().await;
    peer.hears("to='d.example'").await;
    let features =
        "<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>";
    peer.say(format!("{}{features}", header("d.example", "a.example"))).await;
    let said = peer.hears("</stream:stream>").await;
    assert!(!said.contains("<message") && !said.contains("db:result"), "{said}");
    assert!(romeo.hears("</message>").await.contains("<remote-server-timeout"));
    server.close().await;
}
