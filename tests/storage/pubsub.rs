//! Nodes with their items (XEP-0060).

use std::sync::Arc;

use bytes::Bytes;
use waxwing::jid::{BareJid, Jid};
use waxwing::storage::{
    Affiliation, CreatorShare, ItemPage, ItemQuery, LAST_PAYLOAD, LastItemPage, NodeSubscription,
    NodeSummary, PUBSUB_SHARE, PubSubItem, PubSubNode, Publication, PublishAt, Published, Result,
    Storage, StorageError, Which,
};

use crate::cases::{at, make, user};

const NAME: &str = "http://jabber.org/protocol/tune";

fn romeo() -> BareJid {
    user("romeo@localhost")
}

fn node(name: &str) -> PubSubNode {
    PubSubNode {
        name: name.to_owned(),
        creator: romeo(),
        created: at(5),
        config: "{}".to_owned(),
        affiliations: vec![(romeo(), Affiliation::Owner)],
        subscriptions: Vec::new(),
        parents: Vec::new(),
        has_root: false,
        items: 0,
    }
}

fn item(id: &str, micros: i64) -> PubSubItem {
    PubSubItem {
        id: id.to_owned(),
        publisher: Jid::parse("romeo@localhost/orchard").unwrap(),
        published: at(micros),
        payload: Bytes::from(format!("<tune>{id}</tune>")),
    }
}

fn publication(items: &[(&str, i64)], keep: usize) -> Publication {
    Publication {
        at: PublishAt::New(node(NAME)),
        max_nodes: 3,
        share: None,
        items: items.iter().map(|(id, at)| item(id, *at)).collect(),
        keep,
        expire_before: None,
        within_quota: true,
    }
}

async fn publish(
    s: &Arc<dyn Storage>,
    items: &[(&str, i64)],
    keep: usize,
) -> Result<Option<Published>> {
    publish_as(s, publication(items, keep)).await
}

/// Publishes at the node of the others, which is made if there is none.
async fn publish_as(s: &Arc<dyn Storage>, new: Publication) -> Result<Option<Published>> {
    let made = s.pubsub().publish(&romeo(), NAME, new.clone()).await?;
    if made.is_some() {
        return Ok(made);
    }
    let known = Publication { at: PublishAt::Existing(node(NAME).created), ..new };
    s.pubsub().publish(&romeo(), NAME, known).await
}

async fn page(s: &Arc<dyn Storage>, which: Which<'_>, max: usize) -> Option<ItemPage> {
    let query = ItemQuery { which, max, max_bytes: usize::MAX, since: None, payloads: true };
    s.pubsub().items(&romeo(), NAME, query).await.unwrap()
}

fn ids(page: &ItemPage) -> Vec<&str> {
    page.items.iter().map(|item| item.id.as_str()).collect()
}

async fn all(s: &Arc<dyn Storage>) -> Vec<String> {
    let page = page(s, Which::After(None), 100).await.unwrap();
    let node = s.pubsub().node(&romeo(), NAME).await.unwrap();
    assert_eq!(page.count, node.map_or(0, |node| node.items));
    ids(&page).into_iter().map(str::to_owned).collect()
}

pub(crate) async fn a_node_is_made_with_its_first_item(s: Arc<dyn Storage>) {
    let pubsub = s.pubsub();
    assert_eq!(pubsub.node(&romeo(), NAME).await.unwrap(), None);
    let nothing = Publication { at: PublishAt::Existing(at(5)), ..publication(&[("a", 1)], 1) };
    assert_eq!(pubsub.publish(&romeo(), NAME, nothing).await.unwrap(), None);
    let made = Published { created: true, dropped: Vec::new() };
    assert_eq!(publish(&s, &[("a", 1)], 1).await.unwrap(), Some(made));
    let found = pubsub.node(&romeo(), NAME).await.unwrap();
    assert_eq!(found, Some(PubSubNode { items: 1, ..node(NAME) }));
    let one = page(&s, Which::Before(None), 1).await.unwrap();
    assert_eq!(one, ItemPage { items: vec![item("a", 1)], index: 0, count: 1 });
    assert_eq!(pubsub.node(&user("juliet@localhost"), NAME).await.unwrap(), None);
}

/// Rights are checked before something is published: what is stored must be the node that was seen then.
pub(crate) async fn a_publication_goes_to_the_node_it_was_meant_for(s: Arc<dyn Storage>) {
    publish(&s, &[("a", 1)], 9).await.unwrap();
    let other = PubSubNode { config: "other".into(), created: at(6), ..node(NAME) };
    for at in [PublishAt::New(other.clone()), PublishAt::Existing(at(6))] {
        let wrong = Publication { at, ..publication(&[("b", 2)], 9) };
        assert_eq!(s.pubsub().publish(&romeo(), NAME, wrong).await.unwrap(), None);
    }
    assert_eq!(all(&s).await, ["a"]);
    let found = s.pubsub().node(&romeo(), NAME).await.unwrap().unwrap();
    assert_eq!((found.config.as_str(), found.created), ("{}", at(5)));
    s.pubsub().delete(&romeo(), NAME).await.unwrap();
    let wrong = Publication { at: PublishAt::Existing(at(5)), ..publication(&[("b", 2)], 9) };
    assert_eq!(s.pubsub().publish(&romeo(), NAME, wrong.clone()).await.unwrap(), None);
    let anew = Publication { at: PublishAt::New(other), ..publication(&[], 9) };
    assert!(s.pubsub().publish(&romeo(), NAME, anew).await.unwrap().is_some());
    assert_eq!(s.pubsub().publish(&romeo(), NAME, wrong).await.unwrap(), None);
    assert_eq!(all(&s).await, [""; 0]);
}

pub(crate) async fn the_newest_items_stay(s: Arc<dyn Storage>) {
    for (id, at) in [("a", 1), ("b", 2), ("c", 3)] {
        publish(&s, &[(id, at)], 3).await.unwrap();
    }
    assert_eq!(all(&s).await, ["a", "b", "c"]);
    // An item that takes the place of an older one becomes the newest, and pushes nothing out.
    assert_eq!(publish(&s, &[("a", 4)], 3).await.unwrap(), Some(Published::default()));
    assert_eq!(all(&s).await, ["b", "c", "a"]);
    let dropped = publish(&s, &[("d", 5), ("c", 6)], 3).await.unwrap().unwrap().dropped;
    assert_eq!(dropped, ["b"]);
    assert_eq!(all(&s).await, ["a", "d", "c"]);
    let dropped = publish(&s, &[("e", 7)], 1).await.unwrap().unwrap().dropped;
    assert_eq!(dropped, ["a", "d", "c"]);
    publish(&s, &[("f", 8), ("g", 9), ("h", 10)], 2).await.unwrap();
    assert_eq!(all(&s).await, ["g", "h"]);
    publish(&s, &[("i", 11)], 9).await.unwrap();
    let old = Publication { expire_before: Some(at(11)), ..publication(&[("j", 12)], 9) };
    let dropped = publish_as(&s, old).await.unwrap().unwrap().dropped;
    assert_eq!(dropped, ["g", "h"]);
    assert_eq!(all(&s).await, ["i", "j"]);
    assert_eq!(s.pubsub().configure(&romeo(), NAME, "1", 1).await.unwrap().unwrap(), ["i"]);
    assert_eq!(all(&s).await, ["j"]);
    assert_eq!(s.pubsub().node(&romeo(), NAME).await.unwrap().unwrap().config, "1");
}

/// Up to nine items.
const NINE: ItemQuery<'static> =
    ItemQuery { which: Which::After(None), max: 9, max_bytes: 999, since: None, payloads: true };

pub(crate) async fn items_are_found_by_page(s: Arc<dyn Storage>) {
    let all_ids = async || s.pubsub().item_ids(&romeo(), NAME).await.unwrap().concat();
    assert_eq!(page(&s, Which::From(0), 1).await, Some(ItemPage::default()));
    assert_eq!(all_ids().await, "");
    publish(&s, &[("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)], 9).await.unwrap();
    let cases = [
        (Which::After(None), 2, Some((0, "ab"))),
        (Which::After(Some("b")), 2, Some((2, "cd"))),
        (Which::After(Some("e")), 2, Some((5, ""))),
        (Which::After(Some("x")), 2, None),
        (Which::Before(None), 2, Some((3, "de"))),
        (Which::Before(Some("d")), 2, Some((1, "bc"))),
        (Which::Before(Some("a")), 2, Some((0, ""))),
        (Which::Before(Some("x")), 2, None),
        (Which::From(1), 3, Some((1, "bcd"))),
        (Which::From(9), 3, Some((5, ""))),
        (Which::After(None), 0, Some((0, ""))),
    ];
    for (which, max, expected) in cases {
        let page = page(&s, which, max).await;
        let found = page.as_ref().map(|page| (page.index, ids(page).concat()));
        assert_eq!(found, expected.map(|(index, ids)| (index, ids.to_owned())), "{which:?}");
        assert!(page.is_none_or(|page| page.count == 5), "{which:?}");
    }
    let wanted = ["d", "x", "a"].map(str::to_owned);
    assert_eq!(ids(&page(&s, Which::Ids(&wanted), 9).await.unwrap()), ["d", "a"]);
    let bytes = item("a", 1).payload.len();
    for (max_bytes, expected) in [(0, "e"), (2 * bytes, "de"), (3 * bytes - 1, "de")] {
        let query = ItemQuery { which: Which::Before(None), max_bytes, ..NINE };
        let page = s.pubsub().items(&romeo(), NAME, query).await.unwrap().unwrap();
        assert_eq!(ids(&page).concat(), expected, "{max_bytes}");
    }
    let query = ItemQuery { since: Some(at(4)), ..NINE };
    let page = s.pubsub().items(&romeo(), NAME, query).await.unwrap().unwrap();
    assert_eq!((ids(&page).concat().as_str(), page.count), ("de", 2));
    // Without payloads, and so without a bound in bytes.
    let wanted = ["d", "a"].map(str::to_owned);
    for (which, expected) in [
        (Which::After(Some("a")), "bcde"),
        (Which::Before(None), "abcde"),
        (Which::Ids(&wanted), "da"),
    ] {
        let query = ItemQuery { which, max: 9, max_bytes: 0, since: None, payloads: false };
        let page = s.pubsub().items(&romeo(), NAME, query).await.unwrap().unwrap();
        assert_eq!(ids(&page).concat(), expected);
        assert!(page.items.iter().all(|item| item.payload.is_empty()));
    }
    assert_eq!(all_ids().await, "abcde");
    publish(&s, &[("b", 6)], 9).await.unwrap();
    assert_eq!(all_ids().await, "acdeb");
}

pub(crate) async fn the_last_item_of_each_node_is_found(s: Arc<dyn Storage>) {
    let (juliet, nurse) = (user("juliet@localhost"), user("nurse@localhost"));
    publish(&s, &[("a", 1), ("b", 2)], 9).await.unwrap();
    s.pubsub().retract(&romeo(), NAME, &["b".to_owned()]).await.unwrap();
    for name in ["z", "y"] {
        let new = Publication { at: PublishAt::New(node(name)), ..publication(&[("c", 3)], 1) };
        s.pubsub().publish(&juliet, name, new).await.unwrap();
    }
    let empty = Publication { at: PublishAt::New(node("empty")), ..publication(&[], 1) };
    s.pubsub().publish(&juliet, "empty", empty).await.unwrap();
    let owners = [juliet.clone(), nurse, romeo()];
    let page = s.pubsub().last_items(&owners, usize::MAX).await.unwrap();
    assert_eq!(page.owners, 3);
    let found = page.items;
    let mut names: Vec<_> =
        found.iter().map(|last| format!("{} {} {}", last.owner, last.node, last.item.id)).collect();
    names.sort();
    let expected =
        ["juliet@localhost y c", "juliet@localhost z c", &format!("romeo@localhost {NAME} a")];
    assert_eq!(names, expected);
    assert!(found.iter().all(|last| last.affiliations == 1 && last.config == "{}"));
    assert!(found.iter().all(|last| last.is_whole && !last.item.payload.is_empty()));
    assert_eq!(s.pubsub().last_items(&[], 1).await.unwrap(), LastItemPage::default());
    // Those of one owner are read at least, and no more when there are so many bytes.
    let part = s.pubsub().last_items(&owners, 1).await.unwrap();
    assert_eq!((part.items.len(), part.owners >= 1, part.owners < 3), (2, true, true));
    let rest = s.pubsub().last_items(&owners[part.owners..], 1).await.unwrap();
    assert_eq!((rest.items.len(), rest.owners), (1, 3 - part.owners));
    // A picture is not read with the others.
    let mut new = publication(&[("picture", 4)], 1);
    new.items[0].payload = vec![b'x'; LAST_PAYLOAD + 1].into();
    publish_as(&s, new).await.unwrap();
    let page = s.pubsub().last_items(&[romeo()], 1).await.unwrap();
    let last = &page.items[0];
    assert_eq!(
        (last.item.id.as_str(), last.is_whole, last.item.payload.len()),
        ("picture", false, 0)
    );
}

pub(crate) async fn items_go_one_by_one_and_all_at_once(s: Arc<dyn Storage>) {
    let pubsub = s.pubsub();
    let wanted = ["b", "x", "a"].map(str::to_owned);
    assert_eq!(pubsub.retract(&romeo(), NAME, &wanted).await.unwrap(), [""; 0]);
    assert!(!pubsub.purge(&romeo(), NAME).await.unwrap());
    assert!(!pubsub.delete(&romeo(), NAME).await.unwrap());
    publish(&s, &[("a", 1), ("b", 2), ("c", 3)], 9).await.unwrap();
    assert_eq!(pubsub.retract(&romeo(), NAME, &wanted).await.unwrap(), ["b", "a"]);
    assert_eq!(all(&s).await, ["c"]);
    assert!(pubsub.purge(&romeo(), NAME).await.unwrap());
    assert_eq!(all(&s).await, [""; 0]);
    publish(&s, &[("c", 4)], 9).await.unwrap();
    assert!(pubsub.delete(&romeo(), NAME).await.unwrap());
    assert_eq!(pubsub.node(&romeo(), NAME).await.unwrap(), None);
    assert_eq!(all(&s).await, [""; 0]);
    assert!(publish(&s, &[], 9).await.unwrap().unwrap().created);
    assert_eq!(all(&s).await, [""; 0]);
}

pub(crate) async fn nodes_are_listed_and_bounded(s: Arc<dyn Storage>) {
    let pubsub = s.pubsub();
    for name in ["b", "c", "a"] {
        let new = Publication { at: PublishAt::New(node(name)), ..publication(&[], 1) };
        assert!(pubsub.publish(&romeo(), name, new).await.unwrap().unwrap().created);
    }
    let refused = publish(&s, &[("x", 1)], 1).await;
    assert!(matches!(refused, Err(StorageError::Limit(_))), "{refused:?}");
    assert_eq!(pubsub.node(&romeo(), NAME).await.unwrap(), None);
    let names = async |after: Option<&str>, limit| {
        let nodes = pubsub.nodes(&romeo(), after, limit).await.unwrap();
        nodes.into_iter().map(|node| node.name).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 9).await, ["a", "b", "c"]);
    assert_eq!(names(None, 2).await, ["a", "b"]);
    assert_eq!(names(Some("a"), 9).await, ["b", "c"]);
    let summary =
        NodeSummary { name: "b".to_owned(), config: "{}".to_owned(), is_child: false, items: 0 };
    assert_eq!(pubsub.summary(&romeo(), "b").await.unwrap(), Some(summary));
    assert_eq!(pubsub.summary(&romeo(), "d").await.unwrap(), None);
    // A service has nodes, too.
    let service = BareJid::from_parts(None, "pubsub.localhost").unwrap();
    let new = publication(&[("x", 1)], 1);
    assert!(pubsub.publish(&service, NAME, new).await.unwrap().unwrap().created);
    assert_eq!(pubsub.nodes(&service, None, 9).await.unwrap().len(), 1);
}

pub(crate) async fn affiliations_and_subscriptions_come_and_go(s: Arc<dyn Storage>) {
    let pubsub = s.pubsub();
    let (juliet, nurse) = (user("juliet@localhost"), user("nurse@localhost"));
    let subscription = |subid: &str, jid: &str, is_pending| NodeSubscription {
        subid: subid.to_owned(),
        jid: Jid::parse(jid).unwrap(),
        is_pending,
        options: String::new(),
    };
    let first = subscription("1", "juliet@localhost/balcony", true);
    assert!(!pubsub.set_affiliations(&romeo(), NAME, &[], 9).await.unwrap());
    assert!(!pubsub.put_subscription(&romeo(), NAME, &first, 9).await.unwrap());
    publish(&s, &[], 1).await.unwrap();
    let set = [(juliet.clone(), Some(Affiliation::Member)), (nurse.clone(), None)];
    assert!(pubsub.set_affiliations(&romeo(), NAME, &set, 2).await.unwrap());
    assert!(pubsub.put_subscription(&romeo(), NAME, &first, 2).await.unwrap());
    let second = subscription("2", "nurse@localhost", false);
    assert!(pubsub.put_subscription(&romeo(), NAME, &second, 2).await.unwrap());
    let third = subscription("3", "nurse@localhost", false);
    let refused = pubsub.put_subscription(&romeo(), NAME, &third, 2).await;
    assert!(matches!(refused, Err(StorageError::Limit(_))), "{refused:?}");
    let refused = pubsub
        .set_affiliations(&romeo(), NAME, &[(nurse.clone(), Some(Affiliation::Outcast))], 2)
        .await;
    assert!(matches!(refused, Err(StorageError::Limit(_))), "{refused:?}");
    let first = subscription("1", "juliet@localhost/balcony", false);
    assert!(pubsub.put_subscription(&romeo(), NAME, &first, 2).await.unwrap());

    let found = pubsub.node(&romeo(), NAME).await.unwrap().unwrap();
    let affiliations = [(juliet.clone(), Affiliation::Member), (romeo(), Affiliation::Owner)];
    assert_eq!(found.affiliations, affiliations);
    assert_eq!(found.subscriptions, [first.clone(), second]);
    let of = pubsub.affiliations_of(&romeo(), &juliet).await.unwrap();
    assert_eq!(of, [(NAME.to_owned(), Affiliation::Member)]);
    let of = pubsub.subscriptions_of(&romeo(), &juliet).await.unwrap();
    assert_eq!(of, [(NAME.to_owned(), first)]);
    assert_eq!(pubsub.subscriptions_of(&nurse, &juliet).await.unwrap(), []);

    assert!(pubsub.remove_subscription(&romeo(), NAME, "1").await.unwrap());
    assert!(!pubsub.remove_subscription(&romeo(), NAME, "1").await.unwrap());
    let gone = [(juliet.clone(), None), (nurse, Some(Affiliation::Publisher))];
    assert!(pubsub.set_affiliations(&romeo(), NAME, &gone, 2).await.unwrap());
    assert_eq!(pubsub.affiliations_of(&romeo(), &juliet).await.unwrap(), []);
}

pub(crate) async fn nodes_count_for_the_quota_and_go_with_the_account(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost"]).await;
    let used = async || s.usage().used(&romeo()).await.unwrap().pubsub;
    let empty = (NAME.len() + 2 + 64) as u64;
    let with = |n: u64| empty + n * (1 + 23 + item("a", 1).payload.len() as u64);
    publish(&s, &[("a", 1), ("b", 2)], 2).await.unwrap();
    assert_eq!(used().await, with(2));
    publish(&s, &[("b", 3), ("c", 4)], 2).await.unwrap();
    assert_eq!(used().await, with(2));
    s.usage().set_quota(&romeo(), Some(with(2))).await.unwrap();
    let refused = publish(&s, &[("d", 5)], 3).await;
    assert!(matches!(refused, Err(StorageError::Quota)), "{refused:?}");
    assert_eq!(all(&s).await, ["b", "c"]);
    // What takes the place of another item needs no room.
    publish(&s, &[("d", 5)], 2).await.unwrap();
    s.pubsub().retract(&romeo(), NAME, &["c".to_owned()]).await.unwrap();
    assert_eq!(used().await, with(1));
    publish(&s, &[("e", 6)], 3).await.unwrap();
    s.pubsub().configure(&romeo(), NAME, "{...}", 1).await.unwrap();
    assert_eq!(used().await, with(1) + 3);
    s.pubsub().purge(&romeo(), NAME).await.unwrap();
    assert_eq!(used().await, empty + 3);
    s.pubsub().configure(&romeo(), NAME, "{}", 1).await.unwrap();
    publish(&s, &[("f", 7), ("g", 8)], 2).await.unwrap();
    s.pubsub().delete(&romeo(), NAME).await.unwrap();
    assert_eq!(used().await, 0);
    publish(&s, &[("h", 9)], 2).await.unwrap();
    assert!(s.accounts().remove(&romeo()).await.unwrap());
    assert_eq!(s.pubsub().node(&romeo(), NAME).await.unwrap(), None);
    make(&s, &["romeo@localhost"]).await;
    assert_eq!(s.pubsub().nodes(&romeo(), None, 9).await.unwrap(), []);
    assert_eq!(used().await, 0);
}

/// A later account with the same address inherits nothing at nodes of others.
pub(crate) async fn a_removed_account_is_nothing_at_nodes_of_others(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost", "juliet@localhost"]).await;
    publish(&s, &[("a", 1)], 3).await.unwrap();
    let juliet = user("juliet@localhost");
    let store = s.pubsub();
    let member = [(juliet.clone(), Some(Affiliation::Member))];
    assert!(store.set_affiliations(&romeo(), NAME, &member, 9).await.unwrap());
    let subscription = NodeSubscription {
        subid: "1".to_owned(),
        jid: Jid::parse("juliet@localhost/balcony").unwrap(),
        is_pending: false,
        options: String::new(),
    };
    assert!(store.put_subscription(&romeo(), NAME, &subscription, 9).await.unwrap());
    assert!(s.accounts().remove(&juliet).await.unwrap());
    let node = store.node(&romeo(), NAME).await.unwrap().unwrap();
    assert_eq!(node.affiliations, [(romeo(), Affiliation::Owner)]);
    assert!(node.subscriptions.is_empty());
}

/// A service has many creators of nodes, and none of them can use up what all share.
pub(crate) async fn a_creator_has_a_share_of_a_service(s: Arc<dyn Storage>) {
    let service = BareJid::from_parts(None, "pubsub.localhost").unwrap();
    let bytes = (1 + 2 + 64) as u64;
    let share =
        |creator: &str, bytes| Some(CreatorShare { creator: user(creator), nodes: 2, bytes });
    let new = |name: &str, creator: &str| {
        let at = PublishAt::New(PubSubNode { creator: user(creator), ..node(name) });
        let share = share(creator, 3 * bytes);
        Publication { at, max_nodes: 9, share, ..publication(&[], 1) }
    };
    let publish = async |name: &str, what| s.pubsub().publish(&service, name, what).await;
    for name in ["a", "b"] {
        assert!(publish(name, new(name, "romeo@localhost")).await.unwrap().is_some());
    }
    let refused = publish("c", new("c", "romeo@localhost")).await;
    assert!(matches!(refused, Err(StorageError::Limit(PUBSUB_SHARE))), "{refused:?}");
    assert!(publish("c", new("c", "juliet@localhost")).await.unwrap().is_some());
    let item = |text: usize| Publication {
        at: PublishAt::Existing(at(5)),
        items: vec![PubSubItem { payload: vec![b'x'; text].into(), ..item("i", 1) }],
        ..new("a", "romeo@localhost")
    };
    let rest = bytes as usize - 1 - "romeo@localhost/orchard".len();
    let refused = publish("a", item(rest + 1)).await;
    assert!(matches!(refused, Err(StorageError::Limit(PUBSUB_SHARE))), "{refused:?}");
    assert!(publish("a", item(rest)).await.unwrap().is_some());
    // What takes the place of something as large needs no more room.
    assert!(publish("a", item(rest)).await.unwrap().is_some());
    let unbounded = Publication { share: None, ..item(10 * rest) };
    assert!(publish("a", unbounded).await.unwrap().is_some());
    assert!(publish("a", item(9 * rest)).await.unwrap().is_some());
}

pub(crate) async fn nodes_without_an_owner_are_found(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost", "juliet@localhost"]).await;
    let service = BareJid::from_parts(None, "pubsub.localhost").unwrap();
    let (romeo, juliet) = (romeo(), user("juliet@localhost"));
    let owned = |name: &str, owners: &[&BareJid]| PubSubNode {
        affiliations: owners.iter().map(|jid| ((*jid).clone(), Affiliation::Owner)).collect(),
        ..node(name)
    };
    let nodes =
        [owned("both", &[&juliet, &romeo]), owned("hers", &[&juliet]), owned("his", &[&romeo])];
    for node in nodes {
        let (name, at) = (node.name.clone(), PublishAt::New(node));
        let new = Publication { at, ..publication(&[], 1) };
        s.pubsub().publish(&service, &name, new).await.unwrap();
    }
    let member = [(juliet, Some(Affiliation::Member))];
    assert!(s.pubsub().set_affiliations(&service, "his", &member, 9).await.unwrap());
    let found = async || s.pubsub().ownerless(&service, 9).await.unwrap();
    assert_eq!(found().await, [""; 0]);
    assert!(s.accounts().remove(&romeo).await.unwrap());
    assert_eq!(found().await, ["his"]);
    assert_eq!(s.pubsub().ownerless(&service, 0).await.unwrap(), [""; 0]);
    // A later account with this name does not begin with what the earlier one has created.
    for name in ["both", "hers"] {
        let node = s.pubsub().node(&service, name).await.unwrap().unwrap();
        assert_eq!(node.creator, user("juliet@localhost"), "{name}");
    }
}

pub(crate) async fn pending_subscriptions_are_found(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost", "juliet@localhost"]).await;
    let service = BareJid::from_parts(None, "pubsub.localhost").unwrap();
    let (romeo, juliet) = (romeo(), user("juliet@localhost"));
    let subscription = |subid: &str, is_pending| NodeSubscription {
        subid: subid.to_owned(),
        jid: Jid::parse("nurse@localhost").unwrap(),
        is_pending,
        options: String::new(),
    };
    let pubsub = s.pubsub();
    for (name, pending) in [("a", 2), ("b", 0), ("c", 1)] {
        let new = Publication { at: PublishAt::New(node(name)), ..publication(&[], 1) };
        pubsub.publish(&service, name, new).await.unwrap();
        for subid in ["1", "2", "3"] {
            let one = subscription(subid, subid.parse::<u32>().unwrap() <= pending);
            assert!(pubsub.put_subscription(&service, name, &one, 9).await.unwrap());
        }
    }
    let nodes = async |jid, limit| pubsub.pending_nodes(&service, jid, limit).await.unwrap();
    assert_eq!(nodes(&romeo, 9).await, ["a", "c"]);
    assert_eq!(nodes(&romeo, 1).await, ["a"]);
    let member = [(juliet.clone(), Some(Affiliation::Member))];
    assert!(pubsub.set_affiliations(&service, "a", &member, 9).await.unwrap());
    assert_eq!(nodes(&juliet, 9).await, [""; 0]);
    assert_eq!(pubsub.pending_nodes(&romeo, &romeo, 9).await.unwrap(), [""; 0]);
    let of = async |name, limit| pubsub.pending(&service, name, limit).await.unwrap();
    assert_eq!(of("a", 9).await.unwrap(), [subscription("1", true), subscription("2", true)]);
    assert_eq!(of("a", 1).await.unwrap(), [subscription("1", true)]);
    assert_eq!(of("b", 9).await.unwrap(), []);
    assert_eq!(of("x", 9).await, None);
}
