//! An account with ten times as many nodes as it may have by default: what is asked about all of them is answered, and one
//! of them goes.

use std::time::Duration;

use tokio::time::timeout;
use waxwing::jid::BareJid;
use waxwing::payload::datetime::Timestamp;
use waxwing::payload::node_config::NodeConfig;
use waxwing::storage::{PubSubNode, Publication, PublishAt};

use super::test_server::{HOME, TestServer};

#[tokio::test]
async fn an_account_with_5_000_nodes_asks_for_them_and_removes_one() {
    let server = TestServer::new("[limits]\naccount_nodes = 5000\n").await;
    let romeo = BareJid::parse("romeo@localhost").unwrap();
    let store = server.server.state().storage.pubsub();
    for number in 0..5_000 {
        let new = PubSubNode {
            name: format!("urn:example:node:{number:06}"),
            creator: romeo.clone(),
            created: Timestamp::from_micros(number),
            config: NodeConfig::default().to_text(),
            affiliations: Vec::new(),
            subscriptions: Vec::new(),
            parents: Vec::new(),
            has_root: false,
            items: 0,
        };
        let publication = Publication {
            at: PublishAt::New(new),
            max_nodes: 5_000,
            share: None,
            items: Vec::new(),
            keep: 1,
            expire_before: None,
            within_quota: false,
        };
        store.publish(&romeo, &format!("urn:example:node:{number:06}"), publication).await.unwrap();
    }
    let mut client = server.login("romeo", "home", HOME).await;
    let ask = async |client: &mut super::peer::Peer, id: &str, kind: &str, payload: &str| {
        client.say(format!("<iq type='{kind}' id='{id}'>{payload}</iq>")).await;
        let wanted = format!("id='{id}'");
        let before = timeout(Duration::from_secs(60), client.hears(&wanted)).await.unwrap();
        // The rest of its start tag.
        before + &client.hears(">").await
    };
    let pubsub = |ns: &str, inner: &str| {
        format!("<pubsub xmlns='http://jabber.org/protocol/pubsub{ns}'>{inner}</pubsub>")
    };
    let one_more = pubsub("", "<create node='one-more'/>");
    let heard = ask(&mut client, "1", "set", &one_more).await;
    assert!(heard.contains("type='error'"), "{heard}");
    let items = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
    drop(ask(&mut client, "2", "get", items).await);
    client.hears("node='urn:example:node:004999'/></query>").await;
    drop(ask(&mut client, "3", "get", &pubsub("", "<affiliations/>")).await);
    client.hears("</affiliations>").await;
    let delete = pubsub("#owner", "<delete node='urn:example:node:002500'/>");
    let heard = ask(&mut client, "4", "set", &delete).await;
    assert!(heard.contains("type='result'"), "{heard}");
    let heard = ask(&mut client, "5", "set", &one_more).await;
    assert!(heard.contains("type='result'"), "{heard}");
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn nodes_that_a_service_refuses_are_counted_for_the_service_or_for_one_account() {
    let options = "[limits]\nservice_nodes = 2\nservice_nodes_per_account = 1\n";
    let server = TestServer::new(options).await;
    for (name, nodes) in [("romeo", ["a", "b"]), ("juliet", ["c", "d"]), ("tybalt", ["e", "f"])] {
        let mut client = server.login(name, "home", HOME).await;
        for node in nodes {
            let create = format!("<create node='{node}'/>");
            client.say(format!("<iq type='set' id='{node}' to='pubsub.localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub'>{create}</pubsub></iq>")).await;
            client.hears(&format!("id='{node}'")).await;
        }
    }
    // The second one of Romeo is beyond the share of one account. With the first one of Juliet the service is full.
    let refused = ["account", "all"].map(|scope| server.actions("service", scope, "error"));
    assert_eq!(refused, [1, 3]);
    server.close().await;
}
