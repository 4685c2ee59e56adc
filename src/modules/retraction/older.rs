//! Messages that are not among the newest of their conversation are looked for later, by one task for all: a retraction
//! costs the sender nothing more, and whoever retracts without end waits for itself.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::search::Search;
use crate::host::{ServerState, SharedState};
use crate::storage::MessageId;

/// The searches that wait. Bounded in all, and for each author.
#[derive(Debug, Default)]
pub(super) struct Older {
    waiting: Mutex<VecDeque<(Search, MessageId)>>,
    is_there: Notify,
}

impl SharedState for Older {}

impl Older {
    /// Looks for a message among those that are older than `before`, later. `false` if too many searches wait: then the
    /// message stays, and clients read the retraction behind it.
    pub(super) fn add(&self, search: Search, before: MessageId) -> bool {
        let (author, mut waiting) = (search.author(), self.waiting.lock());
        let own = waiting.iter().filter(|(other, _)| other.author() == author).count();
        if waiting.len() >= MOST || own >= MOST_OF_AUTHOR {
            return false;
        }
        waiting.push_back((search, before));
        drop(waiting);
        self.is_there.notify_one();
        true
    }
}

/// Looks for them, one after the other, until the server ends.
pub(super) async fn run(server: Arc<ServerState>) {
    let stopping = server.tasks.stopping();
    let done = stopping.run_until_cancelled(search_all(&server)).await;
    debug_assert!(done.is_none(), "it goes on until the server ends");
}

async fn search_all(server: &ServerState) {
    let older = server.shared::<Older>();
    loop {
        older.is_there.notified().await;
        loop {
            let next = older.waiting.lock().pop_front();
            let Some((search, before)) = next else { break };
            // What is older still stays: clients read the retraction behind it.
            if let Err(error) = search.replace(server, Some(before), (PAGES, PAGE)).await {
                tracing::error!(jid = %search.owner, %error, "a retracted message stays in the archive");
            }
        }
    }
}

/// Searches that wait.
const MOST: usize = 256;
/// Those of one author: a message is in two archives.
const MOST_OF_AUTHOR: usize = 16;
/// Messages of a page.
const PAGE: usize = 250;
/// Pages in which a message is looked for.
const PAGES: usize = 80;

#[cfg(test)]
mod tests {
    use super::{MOST_OF_AUTHOR, Older};
    use crate::jid::{BareJid, Jid};
    use crate::modules::retraction::search::Search;
    use crate::storage::{MessageId, Way};

    #[test]
    fn nobody_takes_all_the_places() {
        let older = Older::default();
        let add = |author: &str| {
            let search = Search {
                owner: BareJid::parse(author).unwrap(),
                way: Way::Sent,
                with: Jid::parse("juliet@a.example").unwrap(),
                id: "1".to_owned(),
                by: "2".to_owned(),
            };
            older.add(search, MessageId::new(9).unwrap())
        };
        for _ in 0..MOST_OF_AUTHOR {
            assert!(add("romeo@a.example"));
        }
        assert!(!add("romeo@a.example") && add("tybalt@a.example"));
    }
}
