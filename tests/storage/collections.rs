//! Nodes in collections (XEP-0248).

use std::sync::Arc;

use waxwing::jid::BareJid;
use waxwing::storage::{
    Affiliation, GraphBounds, LinkProblem, NodeLink, NodeSummary, PubSubNode, Publication,
    PublishAt, ROOT_NODE, Storage,
};

use crate::cases::{at, user};

const BOUNDS: GraphBounds = GraphBounds { parents: 2, above: 3 };

fn romeo() -> BareJid {
    user("romeo@localhost")
}

async fn make(s: &Arc<dyn Storage>, names: &[&str]) {
    for name in names {
        let node = PubSubNode {
            name: (*name).to_owned(),
            creator: romeo(),
            created: at(5),
            config: String::new(),
            affiliations: vec![(romeo(), Affiliation::Owner)],
            subscriptions: Vec::new(),
            parents: Vec::new(),
            has_root: false,
            items: 0,
        };
        let publication = Publication {
            at: PublishAt::New(node),
            max_nodes: 100,
            share: None,
            items: Vec::new(),
            keep: 0,
            expire_before: None,
            within_quota: false,
        };
        s.pubsub().publish(&romeo(), name, publication).await.unwrap().unwrap();
    }
}

/// `child parent` puts a node into a collection, `-child parent` takes it out.
async fn link(s: &Arc<dyn Storage>, links: &[&str]) -> Result<(), LinkProblem> {
    let links: Vec<_> = links
        .iter()
        .map(|text| {
            let (child, parent) = text.split_once(' ').unwrap();
            NodeLink {
                child: child.trim_start_matches('-').to_owned(),
                parent: parent.to_owned(),
                max_children: (!text.starts_with('-')).then_some(2),
            }
        })
        .collect();
    s.pubsub().link(&romeo(), &links, BOUNDS).await.unwrap()
}

async fn parents(s: &Arc<dyn Storage>, name: &str) -> Vec<String> {
    s.pubsub().node(&romeo(), name).await.unwrap().unwrap().parents
}

async fn children(s: &Arc<dyn Storage>, name: &str) -> Vec<String> {
    let found = s.pubsub().children(&romeo(), name, None, 9).await.unwrap();
    assert!(found.iter().all(|child| child.is_child));
    found.into_iter().map(|child| child.name).collect()
}

async fn above(s: &Arc<dyn Storage>, name: &str, limit: usize) -> Vec<String> {
    let found = s.pubsub().above(&romeo(), name, limit).await.unwrap();
    found.into_iter().map(|(name, distance)| format!("{name} {distance}")).collect()
}

pub(crate) async fn nodes_are_put_into_collections_and_taken_out(s: Arc<dyn Storage>) {
    make(&s, &["a", "b", "c", "leaf"]).await;
    assert_eq!(link(&s, &["leaf c", "c b", "b a", "leaf a"]).await, Ok(()));
    assert_eq!(link(&s, &["leaf c"]).await, Ok(()), "it is there already");
    assert_eq!(parents(&s, "leaf").await, ["a", "c"]);
    assert_eq!(children(&s, "a").await, ["b", "leaf"]);
    assert_eq!(above(&s, "leaf", 9).await, ["a 1", "c 1", "b 2"]);
    assert_eq!(above(&s, "leaf", 1).await, ["a 1"]);
    let page = async |after, limit| {
        let found = s.pubsub().children(&romeo(), "a", after, limit).await.unwrap();
        found.into_iter().map(|child| child.name).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 1).await, ["b"]);
    assert_eq!(page(Some("b"), 9).await, ["leaf"]);
    assert_eq!(page(Some("leaf"), 9).await, [""; 0]);
    let top: Vec<NodeSummary> = s.pubsub().nodes(&romeo(), None, 9).await.unwrap();
    let of = |name: &str| top.iter().find(|node| node.name == name).unwrap().is_child;
    assert!(!of("a") && of("b") && of("leaf"));
    assert_eq!(link(&s, &["-leaf a", "-leaf a", "-a leaf"]).await, Ok(()));
    assert_eq!(above(&s, "leaf", 9).await, ["c 1", "b 2", "a 3"]);
    // What was in a node that is deleted, is in it no longer, nor in another one of this name.
    assert!(s.pubsub().delete(&romeo(), "c").await.unwrap());
    make(&s, &["c"]).await;
    assert_eq!(parents(&s, "leaf").await, [""; 0]);
    assert_eq!(children(&s, "b").await, [""; 0]);
    let nobody = user("nobody@localhost");
    assert!(s.pubsub().children(&nobody, "a", None, 9).await.unwrap().is_empty());
    assert!(s.pubsub().above(&nobody, "a", 9).await.unwrap().is_empty());
}

pub(crate) async fn links_are_made_all_or_none(s: Arc<dyn Storage>) {
    make(&s, &["a", "b", "c", "d", "e", "leaf"]).await;
    assert_eq!(link(&s, &["b a", "c b"]).await, Ok(()));
    let refused: &[(&[&str], LinkProblem)] = &[
        (&["a a"], LinkProblem::Cycle),
        (&["leaf a", "a c"], LinkProblem::Cycle),
        (&["-c b", "a c", "c b"], LinkProblem::Cycle),
        (&["leaf a", "leaf x"], LinkProblem::NotFound),
        (&["x a"], LinkProblem::NotFound),
        // Two parents.
        (&["leaf a", "leaf d", "leaf e"], LinkProblem::TooMany),
        // Two children.
        (&["d a", "e a"], LinkProblem::TooMany),
        // Three collections above a node.
        (&["leaf c", "leaf d"], LinkProblem::TooMany),
        (&["a d", "leaf c"], LinkProblem::TooMany),
    ];
    for (links, problem) in refused {
        assert_eq!(link(&s, links).await, Err(*problem), "{links:?}");
        assert_eq!(parents(&s, "leaf").await, [""; 0], "{links:?}");
        assert_eq!(parents(&s, "a").await, [""; 0], "{links:?}");
        assert_eq!(parents(&s, "c").await, ["b"], "{links:?}");
    }
    assert_eq!(link(&s, &["-b a", "d a", "e a"]).await, Ok(()), "what leaves makes room");
}

pub(crate) async fn the_root_is_in_no_list(s: Arc<dyn Storage>) {
    make(&s, &["a"]).await;
    let has_root = async || s.pubsub().node(&romeo(), "a").await.unwrap().unwrap().has_root;
    assert!(!has_root().await);
    make(&s, &[ROOT_NODE]).await;
    assert!(has_root().await);
    let names: Vec<_> = s.pubsub().nodes(&romeo(), None, 9).await.unwrap();
    assert_eq!(names.len(), 1);
    assert!(s.pubsub().node(&romeo(), ROOT_NODE).await.unwrap().is_some());
}
