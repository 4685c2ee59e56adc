//! The budget of requests: what the server has asked and has no answer to yet.

use super::budget::{About, Action, BudgetScope, Rule};

/// What there is to know about it.
pub(super) const ABOUT: About = About {
    name: "requests",
    unit: "requests",
    text: "Requests of the server to clients and servers that have not been answered yet. Over the \
           budget, the server asks no more.",
    rules: &[
        Rule {
            scope: BudgetScope::Account,
            option: "budgets.requests_per_account",
            actions: &[Action::Error],
        },
        Rule { scope: BudgetScope::All, option: "budgets.requests", actions: &[Action::Error] },
    ],
};
