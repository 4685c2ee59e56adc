//! The budgets of files that users upload (XEP-0363).

use super::budget::{About, Action, BudgetScope, Rule, Tally};
use crate::metrics::Metrics;

/// The description of the budget of uploads at the same time.
pub(super) const ABOUT: About = About {
    name: "uploads",
    unit: "uploads",
    text: "Files that are being uploaded (XEP-0363). Each has at most 512 KiB in memory.",
    rules: &[
        Rule {
            scope: BudgetScope::Address,
            option: "budgets.uploads_per_address",
            actions: &[Action::Error],
        },
        Rule { scope: BudgetScope::All, option: "budgets.uploads", actions: &[Action::Error] },
    ],
};

/// The description of the budget of bytes that are uploaded.
pub(super) const BYTES: About = About {
    name: "uploaded_bytes",
    unit: "bytes in 24 hours",
    text: "Bytes of files for which slots were given (XEP-0363), by the hour. They are stored, so that a restart \
           changes nothing. A slot that ends, or is given up, counts for what was sent only.",
    rules: &[Rule {
        scope: BudgetScope::Account,
        option: "files.per_day",
        actions: &[Action::Error],
    }],
};

/// Counts who has uploaded too much in a day. The storage knows the amounts.
#[derive(Debug)]
pub struct UploadedBytes(Tally);

impl UploadedBytes {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self(Tally::new(&BYTES, metrics))
    }

    /// Counts a slot that was refused.
    pub fn refused(&self) {
        self.0.count(BudgetScope::Account, Action::Error);
    }
}
