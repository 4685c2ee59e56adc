//! The budgets of the proxy for bytestreams (XEP-0065).

use super::budget::{About, Action, BudgetScope, Rule};

/// The description of the budget of bytestreams.
pub(super) const ABOUT: About = About {
    name: "bytestreams",
    unit: "bytestreams",
    text: "Bytestreams that users have activated at the proxy (XEP-0065). Each has 64 KiB in memory.",
    rules: &[
        Rule {
            scope: BudgetScope::Account,
            option: "budgets.bytestreams_per_account",
            actions: &[Action::Error],
        },
        Rule { scope: BudgetScope::All, option: "budgets.bytestreams", actions: &[Action::Error] },
    ],
};

/// The description of the budget of connections that wait.
pub(super) const WAITING: About = About {
    name: "waiting_bytestreams",
    unit: "connections",
    text: "Connections to the proxy for bytestreams (XEP-0065) that nobody has activated yet. One over the limit is \
           closed at once.",
    rules: &[
        Rule {
            scope: BudgetScope::Address,
            option: "budgets.waiting_bytestreams_per_address",
            actions: &[Action::Close],
        },
        Rule {
            scope: BudgetScope::All,
            option: "budgets.waiting_bytestreams",
            actions: &[Action::Close],
        },
    ],
};

/// The description of the budget of bytes.
pub(super) const TRAFFIC: About = About {
    name: "bytestream_traffic",
    unit: "bytes per second",
    text: "Bytes that the proxy for bytestreams (XEP-0065) relays: for the account that has activated the bytestream, \
           and for the address that sends them.",
    rules: &[
        Rule {
            scope: BudgetScope::Account,
            option: "budgets.bytestream_traffic_per_account",
            actions: &[Action::Delay],
        },
        Rule {
            scope: BudgetScope::Address,
            option: "budgets.bytestream_traffic_per_address",
            actions: &[Action::Delay],
        },
        Rule {
            scope: BudgetScope::All,
            option: "budgets.bytestream_traffic",
            actions: &[Action::Delay],
        },
    ],
};
