//! Several nodes on one store (docs/decisions/0014-many-writers.md).
//!
//! The store in memory can have several nodes at the same time, each with a clock of its own. A file
//! has one at a time, which need not be the one that wrote it.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use waxwing::storage::{
    MemoryStorage, MessageId, NodeNumber, SavedSession, SqliteStorage, Storage,
};
use waxwing::tasks::Tasks;

use crate::cases::{at, user};
use crate::messages::letter;

const JULIET: &str = "juliet@localhost";

fn number(node: u16) -> NodeNumber {
    NodeNumber::new(node).unwrap()
}

/// Two nodes on one store in memory.
fn two_nodes() -> [Arc<dyn Storage>; 2] {
    let first = MemoryStorage::new();
    let second = Arc::new(first.node(number(1)));
    [first, second]
}

/// A client that reads what waits, page by page, as far as nothing can come before it any more.
struct Reader {
    node: Arc<dyn Storage>,
    read: Vec<MessageId>,
}

impl Reader {
    /// `false` if there is nothing more.
    async fn page(&mut self) -> bool {
        let horizon = self.node.archive().horizon();
        let after = self.read.last().copied();
        let page = self.node.archive().waiting(&user(JULIET), after, 3).await.unwrap();
        let ids = page.iter().map(|waiting| waiting.id).filter(|id| Some(*id) <= horizon);
        let before = self.read.len();
        self.read.extend(ids);
        self.read.len() > before
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// A node takes a message, so many microseconds after its last one.
    Keep(usize, i64),
    Read,
    Advance,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..2_usize, -2_000..5_000_i64).prop_map(|(node, later)| Step::Keep(node, later)),
        3 => Just(Step::Read),
        1 => Just(Step::Advance),
    ];
    prop::collection::vec(step, 1..80)
}

async fn run(behind: i64, steps: Vec<Step>) {
    let nodes = two_nodes();
    let mut clocks = [1_000_000, 1_000_000 - behind];
    let mut reader = Reader { node: nodes[0].clone(), read: Vec::new() };
    let (mut kept, mut horizon) = (BTreeSet::new(), None);
    for step in steps {
        match step {
            Step::Keep(node, later) => {
                clocks[node] += later;
                let message = letter(clocks[node], "hi");
                let id = nodes[node].archive().keep(message).await.unwrap().id;
                assert!(kept.insert(id), "{id:?} was given twice");
                assert!(Some(id) > horizon, "{id:?} came below the horizon {horizon:?}");
            }
            Step::Read => drop(reader.page().await),
            Step::Advance => {
                let advanced = reader.node.archive().advance_horizon().await.unwrap();
                assert!(advanced >= kept.last().copied());
            }
        }
        let now = reader.node.archive().horizon();
        assert!(now >= horizon, "{now:?} is before {horizon:?}");
        horizon = now;
    }
    reader.node.archive().advance_horizon().await.unwrap();
    while reader.page().await {}
    assert_eq!(reader.read, kept.into_iter().collect::<Vec<_>>());
}

proptest! {
    /// Each message comes once and in the order of the ids, though the clock of the other node is
    /// behind and it goes on giving ids below those that were read.
    #[test]
    fn a_reader_misses_nothing_that_another_node_takes(
        behind in -10_000..10_000_i64,
        steps in steps(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(behind, steps));
    }
}

#[tokio::test]
async fn what_one_node_reads_is_not_passed_by_a_slower_clock() {
    let [fast, slow] = two_nodes();
    let first = fast.archive().keep(letter(9_000, 1)).await.unwrap().id;
    assert!(fast.archive().horizon() < Some(first), "the other node may still come before it");
    let before = slow.archive().keep(letter(8_000, 2)).await.unwrap().id;
    assert!(before < first);
    assert_eq!(slow.archive().advance_horizon().await.unwrap(), Some(first));
    assert!(fast.archive().horizon() >= Some(first));
    let after = slow.archive().keep(letter(8_001, 3)).await.unwrap().id;
    assert!(after > first);
}

/// Begins two sessions and saves one of them.
async fn begin_sessions(storage: &dyn Storage, name: &str) {
    let sessions = storage.resumption();
    let (saved, lost) = (format!("{name}-saved"), format!("{name}-lost"));
    for key in [&saved, &lost] {
        let (number, begun) = sessions.begin(&user(JULIET), name, key).await.unwrap();
        begun.await.unwrap();
        if key == &saved {
            let saved = SavedSession { number, handled: 3, state: "state".into() };
            sessions.save(vec![saved]).await.unwrap();
        }
    }
}

/// What is known of the sessions: `name`, whether it has ended, and whether something is saved.
async fn seen(storage: &dyn Storage, key: &str) -> (bool, bool) {
    let session = storage.resumption().find(key).await.unwrap().unwrap();
    (session.ended.is_some(), session.state.is_some())
}

async fn keys(storage: &dyn Storage) -> Vec<String> {
    storage.resumption().all().await.unwrap().into_iter().map(|session| session.key).collect()
}

/// A node that starts after a crash ends its own sessions only.
#[tokio::test]
async fn each_node_begins_anew_by_itself_in_memory() {
    let [one, other] = two_nodes();
    begin_sessions(&*one, "one").await;
    begin_sessions(&*other, "other").await;
    assert_eq!(keys(&*one).await, ["one-saved", "one-lost"]);
    assert_eq!(keys(&*other).await, ["other-saved", "other-lost"]);
    one.resumption().begin_anew(at(5)).await.unwrap();
    assert_eq!(seen(&*one, "one-lost").await, (true, false));
    assert_eq!(seen(&*one, "one-saved").await, (false, false), "it waits for its client");
    assert_eq!(seen(&*one, "other-lost").await, (false, false), "it lives on the other node");
    assert_eq!(seen(&*one, "other-saved").await, (false, true));
    assert_eq!(keys(&*other).await, ["other-saved", "other-lost"]);
}

#[tokio::test]
async fn each_node_begins_anew_by_itself_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("waxwing.sqlite");
    let open = async |node| SqliteStorage::open_as(number(node), &path, 1, &Tasks::new()).await;
    let other = open(5).await.unwrap();
    begin_sessions(&*other, "other").await;
    let foreign = other.archive().keep(letter(1_000, 1)).await.unwrap();
    foreign.receipt.await.unwrap();
    assert_eq!(foreign.id.get() & 1023, 5);
    other.close().await;
    let one = open(0).await.unwrap();
    begin_sessions(&*one, "one").await;
    let own = one.archive().keep(letter(1_000, 2)).await.unwrap();
    own.receipt.await.unwrap();
    assert!(own.id > foreign.id && own.id.get() & 1023 == 0);
    // One after the other, as a file has one node at a time.
    assert_eq!(keys(&*one).await, ["one-saved", "one-lost"]);
    one.resumption().begin_anew(at(5)).await.unwrap();
    assert_eq!(seen(&*one, "one-lost").await, (true, false));
    assert_eq!(seen(&*one, "one-saved").await, (false, false));
    one.close().await;
    let other = open(5).await.unwrap();
    assert_eq!(keys(&*other).await, ["other-saved", "other-lost"]);
    assert_eq!(seen(&*other, "other-saved").await, (false, true));
    other.close().await;
}
