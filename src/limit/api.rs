//! The budget of clients that follow an archive by the HTTP API.

use super::budget::{About, Action, BudgetScope, Rule};

/// What there is to know about it.
pub(super) const ABOUT: About = About {
    name: "api_streams",
    unit: "streams",
    text: "Streams of events of the HTTP API that are open. What is sent there also counts as traffic and work.",
    rules: &[
        Rule {
            scope: BudgetScope::Account,
            option: "budgets.api_streams_per_account",
            actions: &[Action::Error],
        },
        Rule { scope: BudgetScope::All, option: "budgets.api_streams", actions: &[Action::Error] },
    ],
};
