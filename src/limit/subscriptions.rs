//! The budget of subscriptions to nodes that owners make for others (XEP-0060 §8.8.2): who is subscribed so has
//! not asked for it.

use std::time::Duration;

use super::budget::{About, Action, BudgetScope, Rule};
use super::rate::{Pace, Paces, Rate};
use crate::jid::BareJid;
use crate::metrics::Metrics;

/// The description of the budget.
pub(super) const ABOUT: About = About {
    name: "subscriptions",
    unit: "subscriptions an hour",
    text: "Subscriptions to nodes that an owner makes for others, who have not asked for them (XEP-0060). They \
           may ask as often as they want.",
    rules: &[Rule {
        scope: BudgetScope::Account,
        option: "pubsub.subscriptions_for_others",
        actions: &[Action::Error],
    }],
};

/// Limits how many others each account subscribes.
#[derive(Debug)]
pub struct ForOthers(Rate);

impl ForOthers {
    /// No limits, until [`ForOthers::set`].
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self(Rate::new(&ABOUT, metrics))
    }

    /// At most so many in an hour by each account.
    pub fn set(&self, per_hour: u32) {
        let per_second = f64::from(per_hour) / HOUR.as_secs_f64();
        let account = (per_hour > 0).then_some(Pace { per_second, burst: HOUR });
        self.0.set(Paces { account, ..Paces::default() });
    }

    /// Whether this account may subscribe so many others.
    #[must_use]
    pub fn may_subscribe(&self, account: &BareJid, others: u64) -> bool {
        let share = self.0.share(Some(account.as_str()), None);
        let taken = share.try_take(others);
        taken.inspect_err(|scope| share.count(*scope, Action::Error)).is_ok()
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::ForOthers;
    use crate::jid::BareJid;
    use crate::metrics::Metrics;

    #[tokio::test(start_paused = true)]
    async fn others_are_subscribed_by_account_and_hour() {
        let budget = ForOthers::new(&Metrics::new());
        budget.set(10);
        let [romeo, juliet] = ["romeo@a", "juliet@a"].map(|jid| BareJid::parse(jid).unwrap());
        assert!(budget.may_subscribe(&romeo, 9));
        assert!(!budget.may_subscribe(&romeo, 2) && budget.may_subscribe(&romeo, 1));
        assert!(!budget.may_subscribe(&romeo, 1) && budget.may_subscribe(&juliet, 10));
        advance(Duration::from_secs(361)).await;
        assert!(budget.may_subscribe(&romeo, 1) && !budget.may_subscribe(&romeo, 1));
    }
}
