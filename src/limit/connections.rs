//! The budget of connections: a limit for each address and a limit for all.

use std::net::IpAddr;

use super::budget::{About, Action, BudgetScope, Rule};
use super::held::{Bounds, Held, Level};
use crate::metrics::Metrics;

/// The description of the budget.
pub(super) const ABOUT: About = About {
    name: "connections",
    unit: "connections",
    text: "Open connections, before and after the login. A connection over the limit is closed at once.",
    rules: &[
        Rule {
            scope: BudgetScope::Address,
            option: "limits.connections_per_address",
            actions: &[Action::Close],
        },
        Rule { scope: BudgetScope::All, option: "limits.connections", actions: &[Action::Close] },
    ],
};

/// Limits the connections, in all and from each address. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connections(Level);

/// A permitted connection. It is counted until this is dropped.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "its drop is what counts")] Held);

impl Connections {
    /// No limits, until [`Connections::set`].
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self(Level::new(&ABOUT, metrics))
    }

    /// At most `all` together and `per_address` from each address. Existing connections remain.
    pub fn set(&self, all: usize, per_address: usize) {
        let (all, address) = (Some(all as u64), Some(per_address as u64));
        self.0.set(Bounds { account: None, address, all });
    }

    /// Counts one more connection from this address. Without an address, it counts only towards all.
    ///
    /// # Errors
    /// The scope whose limit is reached. Then only the refusal is counted.
    pub fn permit(&self, address: Option<IpAddr>) -> Result<Permit, BudgetScope> {
        let held = self.0.holder(None, address);
        match held.try_add(1) {
            Ok(()) => Ok(Permit(held)),
            Err(scope) => {
                self.0.count(scope, Action::Close);
                Err(scope)
            }
        }
    }

    /// How many connections there are now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.0.all()
    }
}

#[cfg(test)]
mod tests {
    use super::Connections;
    use crate::limit::BudgetScope;
    use crate::metrics::Metrics;

    #[test]
    fn connections_are_counted_in_all_and_per_address() {
        let metrics = Metrics::new();
        let limits = Connections::new(&metrics);
        limits.set(3, 2);
        let (home, other) = ("198.51.100.1".parse().unwrap(), "192.0.2.66".parse().unwrap());
        let first = limits.permit(Some(home)).unwrap();
        let second = limits.permit(Some(home)).unwrap();
        assert_eq!(limits.permit(Some(home)).unwrap_err(), BudgetScope::Address);
        let third = limits.permit(Some(other)).unwrap();
        assert_eq!(limits.permit(Some(other)).unwrap_err(), BudgetScope::All);
        drop(first);
        assert_eq!(limits.open(), 2);
        drop(limits.permit(Some(home)).unwrap());
        limits.set(2, 2);
        assert_eq!(limits.permit(Some(home)).unwrap_err(), BudgetScope::All);
        drop((second, third));
        assert_eq!(limits.open(), 0);
        let text = metrics.render();
        for line in [
            "waxwing_budget_held{budget=\"connections\"} 0",
            "waxwing_budget_actions_total{budget=\"connections\",scope=\"all\",action=\"close\"} 2",
            "waxwing_budget_actions_total{budget=\"connections\",scope=\"address\",action=\"close\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
