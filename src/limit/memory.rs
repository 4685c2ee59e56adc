//! The budget of memory: bytes that are held for clients that do not read, or do not acknowledge.

use super::budget::{About, Action, Rule, Scope};

/// What there is to know about it.
pub(super) const ABOUT: About = About {
    name: "memory",
    unit: "bytes",
    text: "Bytes that are held for clients: what waits in mailboxes, what is being written, and what \
           has not been acknowledged (XEP-0198). Over it, messages that are kept stay in the store \
           and are read from there later. Over it by a quarter, the session that holds most is closed; \
           its messages stay in the store.",
    rules: &[
        Rule {
            scope: Scope::Account,
            option: "budgets.memory_per_account",
            actions: &[Action::Delay, Action::Close],
        },
        Rule {
            scope: Scope::All,
            option: "budgets.memory",
            actions: &[Action::Delay, Action::Close],
        },
    ],
};
