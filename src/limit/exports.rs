//! The budget of users who download all data of their accounts.

use super::budget::{About, Action, BudgetScope, Rule};

/// What there is to know about it.
pub(super) const ABOUT: About = About {
    name: "exports",
    unit: "downloads",
    text: "Downloads of all data of an account, from its own page, at the same time.",
    rules: &[
        Rule { scope: BudgetScope::Account, option: "always 1", actions: &[Action::Error] },
        Rule { scope: BudgetScope::All, option: "budgets.exports", actions: &[Action::Error] },
    ],
};
