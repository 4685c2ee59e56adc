//! The budget of memory: bytes that are held for clients that do not read or do not acknowledge.

use super::budget::{About, Action, BudgetScope, Rule};

/// The description of the budget.
pub(super) const ABOUT: About = About {
    name: "memory",
    unit: "bytes",
    text: "Memory for stanzas to clients: queued, being written, and not yet acknowledged (XEP-0198). \
           Over the budget, stored messages are read from the database later. At a quarter more, the \
           session that holds most is closed; its messages stay in the database.",
    rules: &[
        Rule {
            scope: BudgetScope::Account,
            option: "budgets.memory_per_account",
            actions: &[Action::Delay, Action::Close],
        },
        Rule {
            scope: BudgetScope::All,
            option: "budgets.memory",
            actions: &[Action::Delay, Action::Close],
        },
    ],
};
