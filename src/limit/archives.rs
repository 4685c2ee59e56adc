//! The budget of archive queries (XEP-0313). The storage schedules the queries.

use super::budget::{About, Action, BudgetScope, Rule, Tally};
use crate::metrics::Metrics;

/// The description of the budget.
pub(super) const ABOUT: About = About {
    name: "archives",
    unit: "statements of the database at the same time",
    text: "Archive queries. Each is cut into short statements, and accounts take turns; \
        retention comes last.",
    rules: &[
        Rule { scope: BudgetScope::Account, option: "always 1", actions: &[Action::Delay] },
        Rule {
            scope: BudgetScope::All,
            option: "one less than storage.readers",
            actions: &[Action::Delay],
        },
    ],
};

/// Counts queries that wait.
#[must_use]
pub fn archive_turns(metrics: &Metrics) -> Tally {
    Tally::new(&ABOUT, metrics)
}
