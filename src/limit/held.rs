//! Budgets of what is held: so much at the same time.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;

use super::budget::{About, Action, Scope, Tally};
use super::keyed::{Forget, Keyed};
use super::origin::Origin;
use crate::metrics::Metrics;

/// The bounds of a level. `None`: no bound.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// For each account.
    pub account: Option<u64>,
    /// For each address.
    pub address: Option<u64>,
    /// For all together.
    pub all: Option<u64>,
}

/// Bounds how much is held now. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Level(Arc<LevelParts>);

#[derive(Debug)]
struct LevelParts {
    tally: Tally,
    bounds: ArcSwap<Bounds>,
    accounts: Keyed<Box<str>, Amount>,
    addresses: Keyed<Origin, Amount>,
    /// The metric itself.
    all: Gauge,
    /// A sum is far over its bound.
    overdrawn: Notify,
}

/// What one holder holds. It is given back when this is dropped.
#[derive(Debug)]
pub struct Held {
    level: Level,
    account: Option<Arc<Amount>>,
    address: Option<Arc<Amount>>,
    own: AtomicU64,
}

impl Level {
    /// Without bounds, until [`Level::set`].
    #[must_use]
    pub fn new(about: &'static About, metrics: &Metrics) -> Self {
        Self(Arc::new(LevelParts {
            tally: Tally::new(about, metrics),
            bounds: ArcSwap::default(),
            accounts: Keyed::default(),
            addresses: Keyed::default(),
            all: metrics.budget_held(about.name),
            overdrawn: Notify::new(),
        }))
    }

    /// Sets the bounds. What is held already remains.
    pub fn set(&self, bounds: Bounds) {
        self.0.bounds.store(Arc::new(bounds));
    }

    /// A holder of `account` (a bare JID as text, normalized) at `address`, who holds nothing yet.
    /// What is `None` is not bounded.
    #[must_use]
    pub fn holder(&self, account: Option<&str>, address: Option<IpAddr>) -> Held {
        let parts = &*self.0;
        Held {
            level: self.clone(),
            account: account.map(|account| parts.accounts.get(account, 0)),
            address: address.map(|address| parts.addresses.get(&Origin::of(address), 0)),
            own: AtomicU64::new(0),
        }
    }

    /// How much is held in all.
    #[must_use]
    pub fn all(&self) -> u64 {
        u64::try_from(self.0.all.get()).unwrap_or(0)
    }

    /// Beyond these, what can wait did not help.
    #[must_use]
    pub fn far_bounds(&self) -> Bounds {
        let Bounds { account, address, all } = **self.0.bounds.load();
        Bounds { account: account.map(far), address: address.map(far), all: all.map(far) }
    }

    /// Waits until more is held and a sum is far over its bound. For one task.
    pub async fn overdrawn(&self) {
        self.0.overdrawn.notified().await;
    }

    /// Counts what is done to who is over the budget.
    pub fn count(&self, scope: Scope, action: Action) {
        self.0.tally.count(scope, action);
    }
}

impl Held {
    /// Holds `amount` from now on, whatever the bounds are.
    pub fn set(&self, amount: u64) {
        let before = self.own.swap(amount, Ordering::AcqRel);
        if amount > before {
            self.sums(|sum| sum.add(amount - before));
            self.level.0.all.inc_by(signed(amount - before));
            if self.far_over().is_some() {
                self.level.0.overdrawn.notify_one();
            }
        } else if amount < before {
            self.sums(|sum| sum.subtract(before - amount));
            self.level.0.all.dec_by(signed(before - amount));
        }
    }

    /// Holds `amount` more if all sums stay within their bounds.
    ///
    /// # Errors
    /// Whose sum it is that would not; then no more is held.
    pub fn try_add(&self, amount: u64) -> Result<(), Scope> {
        let bounds = **self.level.0.bounds.load();
        let all = &self.level.0.all;
        // The gauge cannot be compared and changed at once, so it is changed first.
        let sum = all.inc_by(signed(amount)).saturating_add(signed(amount));
        let give_back = || {
            all.dec_by(signed(amount));
        };
        if bounds.all.is_some_and(|most| sum > signed(most)) {
            give_back();
            return Err(Scope::All);
        }
        let account = self.account.as_deref();
        if account.is_some_and(|sum| !sum.try_add(amount, bounds.account)) {
            give_back();
            return Err(Scope::Account);
        }
        if self.address.as_deref().is_some_and(|sum| !sum.try_add(amount, bounds.address)) {
            give_back();
            account.inspect(|sum| sum.subtract(amount));
            return Err(Scope::Address);
        }
        self.own.fetch_add(amount, Ordering::AcqRel);
        Ok(())
    }

    /// What this one holds.
    #[must_use]
    pub fn own(&self) -> u64 {
        self.own.load(Ordering::Acquire)
    }

    /// What its account holds.
    #[must_use]
    pub fn of_account(&self) -> u64 {
        self.account.as_deref().map_or_else(|| self.own(), Amount::get)
    }

    /// Its account, its address, or all together, hold more than they may: whose sum it is.
    #[must_use]
    pub fn over(&self) -> Option<Scope> {
        self.beyond(&self.level.0.bounds.load())
    }

    /// As [`Held::over`], by more than a quarter: what can wait did not help.
    #[must_use]
    pub fn far_over(&self) -> Option<Scope> {
        self.beyond(&self.level.far_bounds())
    }

    fn beyond(&self, bounds: &Bounds) -> Option<Scope> {
        let is_beyond =
            |sum: Option<u64>, most: Option<u64>| most.is_some_and(|most| sum > Some(most));
        [
            (Scope::Account, self.account.as_deref().map(Amount::get), bounds.account),
            (Scope::Address, self.address.as_deref().map(Amount::get), bounds.address),
            (Scope::All, Some(self.level.all()), bounds.all),
        ]
        .into_iter()
        .find_map(|(scope, sum, most)| is_beyond(sum, most).then_some(scope))
    }

    /// Another holder of the same account and address, who holds nothing yet.
    #[must_use]
    pub fn sibling(&self) -> Self {
        Self {
            level: self.level.clone(),
            account: self.account.clone(),
            address: self.address.clone(),
            own: AtomicU64::new(0),
        }
    }

    /// The level that it is part of.
    #[must_use]
    pub fn level(&self) -> &Level {
        &self.level
    }

    fn sums(&self, change: impl Fn(&Amount)) {
        self.account.as_deref().into_iter().chain(self.address.as_deref()).for_each(change);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A sum of what is held.
#[derive(Debug, Default)]
struct Amount(AtomicU64);

impl Amount {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::AcqRel);
    }

    fn subtract(&self, amount: u64) {
        self.0.fetch_sub(amount, Ordering::AcqRel);
    }

    fn try_add(&self, amount: u64, most: Option<u64>) -> bool {
        let add = |sum: u64| {
            let sum = sum.saturating_add(amount);
            most.is_none_or(|most| sum <= most).then_some(sum)
        };
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok()
    }
}

/// Nothing is lost with a sum of zero; and who holds something holds its sum, too.
impl Forget for Amount {
    fn until(&self) -> u64 {
        if self.get() == 0 { 0 } else { u64::MAX }
    }
}

fn far(most: u64) -> u64 {
    most.saturating_add(most / 4)
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
