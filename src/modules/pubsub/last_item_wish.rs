//! Which last items a session wants.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;

/// Nodes by their names. The time: only what was published since then is wanted.
pub(super) type Nodes = BTreeMap<SmolStr, Option<Timestamp>>;

/// What a session wants.
#[derive(Default)]
pub(super) struct Wish {
    /// Of all accounts whose data its user may see.
    pub(super) of_all: Nodes,
    /// All that it is interested in, of these accounts.
    pub(super) of: Vec<BareJid>,
}

impl Wish {
    pub(super) fn is_empty(&self) -> bool {
        self.of_all.is_empty() && self.of.is_empty()
    }

    pub(super) fn add(&mut self, other: Self) {
        for (node, since) in other.of_all {
            let known = self.of_all.entry(node).or_insert(since);
            *known = (*known).min(since);
        }
        for owner in other.of {
            if !self.of.contains(&owner) && self.of.len() < MAX_NEW_CONTACTS {
                self.of.push(owner);
            }
        }
    }
}

/// New contacts whose last items wait for a session, at most.
const MAX_NEW_CONTACTS: usize = 64;
