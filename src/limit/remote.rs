//! The budgets of other servers: what waits for them, and what they send.

use super::budget::{About, Action, BudgetScope, Rule};

/// The description of the budget of bytes that wait.
pub(super) const WAITING: About = About {
    name: "remote",
    unit: "bytes",
    text: "Stanzas that wait until another server is reached. Over the budget, a sender gets an error.",
    rules: &[
        Rule {
            scope: BudgetScope::Account,
            option: "budgets.remote_per_account",
            actions: &[Action::Error],
        },
        Rule { scope: BudgetScope::All, option: "budgets.remote", actions: &[Action::Error] },
    ],
};

/// The description of the budget of questions to clients on other servers.
pub(super) const QUESTIONS: About = About {
    name: "remote_questions",
    unit: "requests",
    text: "Clients on other servers that are asked what they can do, by domain. Over the budget, they are asked with their \
           next presence.",
    rules: &[
        Rule {
            scope: BudgetScope::Account,
            option: "budgets.questions_per_domain",
            actions: &[Action::Error],
        },
        Rule { scope: BudgetScope::All, option: "budgets.questions", actions: &[Action::Error] },
    ],
};

/// The description of the budget of stanzas that wait for one domain.
pub(super) const STANZAS: About = About {
    name: "remote_stanzas",
    unit: "stanzas",
    text: "Stanzas that wait for one domain of another server, from all domains of this server. A sixteenth of the bound is kept \
           for each of these. Over the budget, a sender gets an error.",
    rules: &[Rule {
        scope: BudgetScope::Account,
        option: "s2s.queue_stanzas",
        actions: &[Action::Error],
    }],
};

/// The description of the budget of their bytes.
pub(super) const BYTES: About = About {
    name: "remote_bytes",
    unit: "bytes",
    text: "Bytes of the stanzas that wait for one domain of another server. A sixteenth of the bound is kept for each domain of \
           this server, and at least one stanza.",
    rules: &[Rule {
        scope: BudgetScope::Account,
        option: "s2s.queue_bytes",
        actions: &[Action::Error],
    }],
};

/// The description of the budget of bytes that come.
pub(super) const TRAFFIC: About = About {
    name: "remote_traffic",
    unit: "bytes a second",
    text: "Bytes that other servers send, by domain. The server reads later from a domain over its budget.",
    rules: &[Rule {
        scope: BudgetScope::Account,
        option: "budgets.traffic_per_domain",
        actions: &[Action::Delay],
    }],
};
