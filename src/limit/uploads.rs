//! The budgets of files that users upload (XEP-0363).

use std::time::Duration;

use super::budget::{About, Action, BudgetScope, Rule};
use super::rate::{Pace, Paces, Rate};
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
    unit: "bytes a day",
    text: "Bytes of files for which slots were given (XEP-0363).",
    rules: &[Rule {
        scope: BudgetScope::Account,
        option: "files.per_day",
        actions: &[Action::Error],
    }],
};

/// Limits how many bytes each account uploads in a day.
#[derive(Debug)]
pub struct UploadedBytes(Rate);

impl UploadedBytes {
    /// No limits, until [`UploadedBytes::set`].
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self(Rate::new(&BYTES, metrics))
    }

    /// At most so many in a day. 0 means no limit.
    pub fn set(&self, per_day: usize) {
        let per_second = per_day as f64 / DAY.as_secs_f64();
        let account = (per_day > 0).then_some(Pace { per_second, burst: DAY });
        self.0.set(Paces { account, ..Paces::default() });
    }

    /// Whether an account (a normalised bare JID as text) may upload so many bytes now.
    #[must_use]
    pub fn may_upload(&self, account: &str, bytes: u64) -> bool {
        let share = self.0.share(Some(account), None);
        let taken = share.try_take(bytes);
        taken.inspect_err(|scope| share.count(*scope, Action::Error)).is_ok()
    }

    /// Gives back bytes that were taken from the budget and not uploaded.
    pub fn give_back(&self, account: &str, bytes: u64) {
        self.0.share(Some(account), None).give_back(bytes);
    }
}

const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::UploadedBytes;
    use crate::metrics::Metrics;

    #[tokio::test(start_paused = true)]
    async fn bytes_are_uploaded_by_account_and_day() {
        let bytes = UploadedBytes::new(&Metrics::new());
        assert!(bytes.may_upload("romeo@montague.lit", u64::MAX));
        bytes.set(2400);
        assert!(bytes.may_upload("juliet@capulet.lit", 2400));
        assert!(!bytes.may_upload("juliet@capulet.lit", 100));
        assert!(bytes.may_upload("nurse@capulet.lit", 1000));
        advance(Duration::from_secs(3601)).await;
        assert!(bytes.may_upload("juliet@capulet.lit", 100));
        assert!(!bytes.may_upload("juliet@capulet.lit", 1));
        bytes.give_back("juliet@capulet.lit", 50);
        assert!(bytes.may_upload("juliet@capulet.lit", 50));
        assert!(!bytes.may_upload("juliet@capulet.lit", 1));
    }
}
