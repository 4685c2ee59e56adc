//! The budgets of what the storage keeps for an account. The storage knows the amounts; this file counts
//! refusals.

use super::budget::{About, Action, BudgetScope, Rule, Tally};
use crate::metrics::Metrics;

/// The description of the quota.
pub(super) const KEPT: About = About {
    name: "kept",
    unit: "bytes",
    text: "What the server stores for an account: archive, undelivered messages, vCard, private XML, \
           roster. Over the quota, messages from contacts replace the oldest delivered messages of the \
           archive; everything else is refused. `user quota` sets another bound for one account.",
    rules: &[Rule {
        scope: BudgetScope::Account,
        option: "limits.account_bytes",
        actions: &[Action::Error],
    }],
};

/// The description of the budget of undelivered messages.
pub(super) const WAITING: About = About {
    name: "waiting",
    unit: "messages",
    text: "Undelivered messages of an offline account. Each sender has a share, and all strangers \
           together have one. A message over the share is only archived; if it must not be archived, it \
           is refused.",
    rules: &[Rule {
        scope: BudgetScope::Account,
        option: "limits.offline_messages",
        actions: &[Action::Error],
    }],
};

/// The description of the budget of nodes at a service.
pub(super) const SERVICE: About = About {
    name: "service",
    unit: "nodes, and bytes",
    text: "Nodes at `pubsub.<host>` with their items, by the account that has created them. Over the budget, \
           no node is made, and nothing is published that needs more room.",
    rules: &[
        Rule {
            scope: BudgetScope::Account,
            option: "limits.service_nodes_per_account",
            actions: &[Action::Error],
        },
        Rule {
            scope: BudgetScope::Account,
            option: "limits.service_bytes_per_account",
            actions: &[Action::Error],
        },
        Rule { scope: BudgetScope::All, option: "limits.service_nodes", actions: &[Action::Error] },
    ],
};

/// Counts what is refused because an account stores too much.
#[derive(Debug)]
pub struct Kept {
    kept: Tally,
    waiting: Tally,
    service: Tally,
}

impl Kept {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            kept: Tally::new(&KEPT, metrics),
            waiting: Tally::new(&WAITING, metrics),
            service: Tally::new(&SERVICE, metrics),
        }
    }

    /// Counts a refusal because an account has used up its quota.
    pub fn refused_bytes(&self) {
        self.kept.count(BudgetScope::Account, Action::Error);
    }

    /// Counts a refusal because an account has too many undelivered messages.
    pub fn refused_to_wait(&self) {
        self.waiting.count(BudgetScope::Account, Action::Error);
    }

    /// Counts a refusal because a service has all the nodes that it may have.
    pub fn refused_node(&self) {
        self.service.count(BudgetScope::All, Action::Error);
    }

    /// Counts a refusal because an account has its share of the nodes at a service.
    pub fn refused_share(&self) {
        self.service.count(BudgetScope::Account, Action::Error);
    }
}
