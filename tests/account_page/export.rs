//! The download of all data of an account.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, sleep};
use waxwing::host::registration::change_password;
use waxwing::jid::{BareJid, Jid};
use waxwing::payload::datetime::Timestamp;
use waxwing::storage::{
    Affiliation, Holder, InvitationKind, NewMessage, NodeSubscription, PubSubItem, PubSubNode,
    Publication, PublishAt, PushDevice, PushRegistration, RoomAffiliation, RoomMember,
    RoomSettings, RosterItem, Storage, StoredRoom, Subscription, Way,
};

use crate::browser::{Browser, TestServer, joined};
use crate::{QUICK, inside, stored};

/// A message in an archive, or one that waits.
async fn keep(storage: &dyn Storage, owner: &BareJid, text: &str, archive: bool) {
    let holder = Holder {
        owner: owner.clone(),
        with: Jid::parse("juliet@localhost").unwrap(),
        way: Way::Received,
        archive,
        waiting: !archive,
        limit: None,
    };
    let xml = format!(
        "<message xmlns='jabber:client' from='juliet@localhost' to='romeo@localhost'><body>{text}</body></message>"
    );
    let new = NewMessage {
        at: Timestamp::from_micros(1_000_000),
        xml: xml.into(),
        holders: [holder].into_iter().collect(),

        handled: None,
    };
    storage.archive().keep(new).await.unwrap().receipt.await.unwrap();
}

/// Publishes long items at a node.
async fn publish(storage: &dyn Storage, owner: &BareJid, ids: impl Iterator<Item = usize>) {
    let created = Timestamp::from_micros(5);
    let item = |id: usize| PubSubItem {
        id: format!("item{id}."),
        publisher: owner.clone().into_jid(),
        published: created,
        payload: format!("<x>{}</x>", "x".repeat(20_000)).into(),
    };
    let node = PubSubNode {
        name: "urn:x".into(),
        creator: owner.clone(),
        created,
        config: "{}".into(),
        affiliations: vec![(owner.clone(), Affiliation::Owner)],
        subscriptions: Vec::new(),
        parents: Vec::new(),
        has_root: false,
        items: 0,
    };
    let is_there = storage.pubsub().summary(owner, "urn:x").await.unwrap().is_some();
    let publication = Publication {
        at: if is_there { PublishAt::Existing(created) } else { PublishAt::New(node) },
        max_nodes: 9,
        share: None,
        items: ids.map(item).collect(),
        keep: 1000,
        expire_before: None,
        within_quota: false,
    };
    assert!(storage.pubsub().publish(owner, "urn:x", publication).await.unwrap().is_some());
}

/// A node of the user and one of somebody else at a service, rooms, and a push registration.
async fn elsewhere(server: &TestServer, romeo: &BareJid) {
    nodes_at_a_service(server, romeo).await;
    rooms(server, romeo).await;
    let registration = PushRegistration {
        service: Jid::parse("push.example").unwrap(),
        node: "n".into(),
        options: Some("<x>a secret</x>".into()),
        device: PushDevice::Installation("phone".into()),
        registered: Timestamp::from_micros(7),
    };
    server.storage().push().register(romeo, &registration, 9).await.unwrap();
}

async fn nodes_at_a_service(server: &TestServer, romeo: &BareJid) {
    let storage = server.storage();
    let (service, nurse) = (user("pubsub.localhost"), user("nurse@localhost"));
    let node = |name: &str, owner: &BareJid| PubSubNode {
        parents: Vec::new(),
        has_root: false,
        name: name.into(),
        creator: owner.clone(),
        created: Timestamp::from_micros(5),
        config: "{}".into(),
        affiliations: vec![(owner.clone(), Affiliation::Owner)],
        subscriptions: Vec::new(),
        items: 0,
    };
    let mut theirs = node("theirs", &nurse);
    theirs.affiliations.push((romeo.clone(), Affiliation::Member));
    theirs.subscriptions.push(NodeSubscription {
        subid: "1".into(),
        jid: Jid::parse("romeo@localhost/orchard").unwrap(),
        is_pending: false,
        options: String::new(),
    });
    for (node, id) in [(node("urn:x", romeo), 3), (theirs, 4)] {
        let name = node.name.clone();
        let item = PubSubItem {
            id: format!("item{id}."),
            publisher: romeo.clone().into_jid(),
            published: Timestamp::from_micros(5),
            payload: "<x/>".into(),
        };
        let publication = Publication {
            at: PublishAt::New(node),
            max_nodes: 9,
            share: None,
            items: vec![item],
            keep: 9,
            expire_before: None,
            within_quota: false,
        };
        storage.pubsub().publish(&service, &name, publication).await.unwrap().unwrap();
    }
}

async fn rooms(server: &TestServer, romeo: &BareJid) {
    let storage = server.storage();
    let member = RoomMember {
        jid: romeo.clone(),
        affiliation: RoomAffiliation::Admin,
        nick: Some("Romeo".into()),
        reason: None,
        since: Timestamp::from_micros(6),
        version: 1,
    };
    for number in 0..250 {
        let room = StoredRoom {
            created: Timestamp::from_micros(5),
            creator: user("nurse@localhost"),
            settings: RoomSettings { is_persistent: true, ..RoomSettings::default() },
            subject: None,
            extra: None,
            members: vec![member.clone()],
            occupants: Vec::new(),
        };
        let address = user(&format!("r{number:03}@conference.localhost"));
        assert!(storage.rooms().create(&address, &room, 999).await.unwrap());
    }
}

fn user(address: &str) -> BareJid {
    BareJid::parse(address).unwrap()
}

/// What is told of nodes at services, rooms and push services.
fn assert_elsewhere(data: &Value) {
    let nodes: Vec<_> = data["nodes"].as_array().unwrap().iter().collect();
    assert_eq!(nodes.len(), 1, "{nodes:?}");
    assert_eq!(
        (&nodes[0]["service"], &nodes[0]["id"]),
        (&json!("pubsub.localhost"), &json!("item3."))
    );
    let relation = |node: &str, more: Value| {
        let mut relation = json!({ "service": "pubsub.localhost", "node": node });
        relation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        relation
    };
    let relations = [
        relation("theirs", json!({ "affiliation": "member" })),
        relation("urn:x", json!({ "affiliation": "owner" })),
        relation(
            "theirs",
            json!({ "subscription": "subscribed", "address": "romeo@localhost/orchard" }),
        ),
    ];
    assert_eq!(data["node_relations"], json!(relations));
    assert_eq!(data["rooms"].as_array().unwrap().len(), 250);
    assert_eq!(data["rooms"][7]["room"], "r007@conference.localhost");
    assert_eq!(data["rooms"][7]["affiliation"], "admin");
    assert_eq!(data["rooms"][7]["nickname"], "Romeo");
    let push = &data["push_registrations"];
    assert_eq!(
        (&push[0]["service"], &push[0]["device"]),
        (&json!("push.example"), &json!("phone"))
    );
    assert_eq!(push.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn all_data_are_downloaded_page_by_page() {
    let server = TestServer::new(QUICK).await;
    let romeo = server.account("romeo@localhost", "soldierly").await;
    let storage = server.storage();
    let juliet = Jid::parse("juliet@localhost").unwrap();
    let contact = RosterItem {
        jid: juliet.clone(),
        name: "Juliet \"J\"".into(),
        groups: vec!["Friends".into()],
        subscription: Subscription::Both,
        pending_out: false,
        pending_in: None,
        approved: false,
        listed: true,
    };
    storage.roster().put(&romeo, &contact, 10).await.unwrap();
    storage.documents().put(&romeo, "vcard", "", "<vCard xmlns='vcard-temp'/>").await.unwrap();
    stored(&server, &romeo, "rose.jpg").await;
    server.invite("romeo@localhost", InvitationKind::Contact, false).await;
    elsewhere(&server, &romeo).await;
    for n in 0..450 {
        keep(storage, &romeo, &n.to_string(), true).await;
    }
    keep(storage, &romeo, "away", false).await;
    let (mut browser, _) = inside(&server, "romeo", "soldierly").await;
    let page = browser.get("/account/export").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("application/json")));
    assert!(page.header("content-disposition").unwrap().starts_with("attachment"));
    let data: Value = serde_json::from_str(&page.body).unwrap();
    assert_eq!(data["account"], "romeo@localhost");
    assert_eq!(data["contacts"][0]["name"], "Juliet \"J\"");
    assert_eq!(data["documents"][0]["xml"], "<vCard xmlns='vcard-temp'/>");
    assert_eq!(data["files"][0]["name"], "rose.jpg");
    assert_eq!(data["waiting"].as_array().unwrap().len(), 1);
    assert!(data["waiting"][0]["xml"].as_str().unwrap().contains("<body>away</body>"));
    assert_eq!(data["api_tokens"].as_array().unwrap().len(), 0);
    assert_eq!(data["invitations"].as_array().unwrap().len(), 1);
    assert_elsewhere(&data);
    assert!(!page.body.contains("a secret"));
    let messages = data["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 450);
    assert!(messages[449]["xml"].as_str().unwrap().contains("<body>449</body>"));
    // One at a time.
    let held = server.server.state().budgets.exports.holder(Some("romeo@localhost"), None);
    held.try_add(1).unwrap();
    assert_eq!(browser.get("/account/export").await.status, 429);
    drop(held);
    assert_eq!(browser.get("/account/export").await.status, 200);
    server.close().await;
}

/// An item that is published again becomes the newest one. What came after it is not left out for that.
#[tokio::test]
async fn items_that_change_meanwhile_leave_nothing_else_out() {
    let server = TestServer::new(QUICK).await;
    let romeo = server.account("romeo@localhost", "soldierly").await;
    publish(server.storage(), &romeo, 0..130).await;
    let (mut browser, _) = inside(&server, "romeo", "soldierly").await;
    let mut io = browser.open("/account/export", 1000).await;
    let mut all = vec![0; 10_000];
    io.read_exact(&mut all).await.unwrap();
    // The first page was read.
    publish(server.storage(), &romeo, (45..52).chain([200])).await;
    let gone = [60, 61, 99, 100].map(|id| format!("item{id}."));
    server.storage().pubsub().retract(&romeo, "urn:x", &gone).await.unwrap();
    io.read_to_end(&mut all).await.unwrap();
    let all = String::from_utf8(all).unwrap();
    let data: Value = serde_json::from_str(&joined(all.split_once("\r\n\r\n").unwrap().1)).unwrap();
    let mut found: Vec<_> =
        data["nodes"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    found.sort_unstable();
    let mut expected: Vec<_> =
        (0..130).map(|id| format!("item{id}.")).filter(|id| !gone.contains(id)).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    server.close().await;
}

/// A download that has begun: the server waits for the browser to take more.
async fn begun<'a>(server: &'a TestServer) -> (Browser<'a>, tokio::io::DuplexStream) {
    let romeo = server.account("romeo@localhost", "soldierly").await;
    publish(server.storage(), &romeo, 0..200).await;
    let (mut browser, _) = inside(server, "romeo", "soldierly").await;
    let mut io = browser.open("/account/export", 1000).await;
    io.read_exact(&mut [0; 1000]).await.unwrap();
    assert_eq!(server.server.state().budgets.exports.all(), 1);
    (browser, io)
}

/// A browser that reads one byte now and then must not keep others from a download.
#[tokio::test]
async fn a_download_has_so_much_time() {
    let server = TestServer::new(QUICK).await;
    let (_, mut io) = begun(&server).await;
    tokio::time::pause();
    let begin = Instant::now();
    while server.server.state().budgets.exports.all() > 0 {
        io.read_exact(&mut [0; 10]).await.unwrap();
        sleep(Duration::from_secs(10)).await;
        assert!(begin.elapsed() < Duration::from_secs(3 * 3600));
    }
    assert!(begin.elapsed() > Duration::from_secs(3600));
    tokio::time::resume();
    assert_is_broken(io).await;
    server.close().await;
}

#[tokio::test]
async fn a_download_ends_when_the_password_changes() {
    let server = TestServer::new(QUICK).await;
    let (_, io) = begun(&server).await;
    let romeo = BareJid::parse("romeo@localhost").unwrap();
    assert!(change_password(server.server.state(), &romeo, "peaceful", None).await.unwrap());
    assert_is_broken(io).await;
    server.close().await;
}

/// The answer has no end (RFC 9112 §8), so that nobody takes a part for the whole.
async fn assert_is_broken(mut io: tokio::io::DuplexStream) {
    let mut rest = Vec::new();
    io.read_to_end(&mut rest).await.unwrap();
    assert!(!rest.is_empty() && !rest.ends_with(b"\r\n0\r\n\r\n"));
}
