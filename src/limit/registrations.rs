//! The budget of accounts that are created by in-band registration (XEP-0077).

use std::net::IpAddr;
use std::time::Duration;

use super::budget::{About, Action, BudgetScope, Rule};
use super::rate::{Pace, Paces, Rate};
use crate::metrics::Metrics;

/// The description of the budget.
pub(super) const ABOUT: About = About {
    name: "registrations",
    unit: "accounts an hour",
    text: "Accounts registered by clients (XEP-0077). A request for a taken name counts as a tenth.",
    rules: &[Rule {
        scope: BudgetScope::Address,
        option: "registration.per_address",
        actions: &[Action::Error],
    }],
};

/// Limits how many accounts are created from each address.
#[derive(Debug)]
pub struct Registrations(Rate);

impl Registrations {
    /// No limits, until [`Registrations::set`].
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self(Rate::new(&ABOUT, metrics))
    }

    /// At most so many in an hour from each address.
    pub fn set(&self, per_hour: u32) {
        let per_second = f64::from(per_hour) * TENTHS as f64 / HOUR.as_secs_f64();
        let address = Some(Pace { per_second, burst: HOUR });
        self.0.set(Paces { address, ..Paces::default() });
    }

    /// Whether an account may be created from this address.
    #[must_use]
    pub fn may_make(&self, address: IpAddr) -> bool {
        self.try_take(address, TENTHS)
    }

    /// Whether a client at this address may learn that a name is taken. Such answers reveal which accounts
    /// exist, so they count, too.
    #[must_use]
    pub fn may_ask(&self, address: IpAddr) -> bool {
        self.try_take(address, 1)
    }

    fn try_take(&self, address: IpAddr, amount: u64) -> bool {
        let share = self.0.share(None, Some(address));
        let taken = share.try_take(amount);
        taken.inspect_err(|scope| share.count(*scope, Action::Error)).is_ok()
    }
}

const HOUR: Duration = Duration::from_secs(3600);
/// The cost of an account, in tenths.
const TENTHS: u64 = 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::Registrations;
    use crate::metrics::Metrics;

    #[tokio::test(start_paused = true)]
    async fn accounts_are_made_by_address_and_hour() {
        let registrations = Registrations::new(&Metrics::new());
        registrations.set(2);
        let (home, other) = ("198.51.100.1".parse().unwrap(), "192.0.2.66".parse().unwrap());
        assert!(registrations.may_make(home) && registrations.may_make(home));
        assert!(!registrations.may_make(home) && !registrations.may_ask(home));
        assert!(registrations.may_make(other));
        assert!((0..10).all(|_| registrations.may_ask(other)) && !registrations.may_ask(other));
        advance(Duration::from_secs(1801)).await;
        assert!(registrations.may_make(home) && !registrations.may_make(home));
    }
}
