//! The budget of pushes: the devices to which notifications are on their way.

use super::budget::{About, Action, BudgetScope, Rule};

/// What there is to know about it.
pub(super) const ABOUT: About = About {
    name: "pushes",
    unit: "devices",
    text: "Devices to whose push services a notification is on its way, or waits to be sent again \
           (XEP-0357). Over the budget, no more devices are woken; their messages wait all the same.",
    rules: &[
        Rule {
            scope: BudgetScope::Account,
            option: "budgets.pushes_per_account",
            actions: &[Action::Error],
        },
        Rule { scope: BudgetScope::All, option: "budgets.pushes", actions: &[Action::Error] },
    ],
};
