//! Budgets of what is held at the same time.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;

use super::budget::{About, Action, BudgetScope, Tally};
use super::keyed::{Forget, Keyed};
use super::origin::Origin;
use crate::metrics::Metrics;

/// The limits of a level. `None`: no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// The limit for each account.
    pub account: Option<u64>,
    /// The limit for each address.
    pub address: Option<u64>,
    /// The limit for all together.
    pub all: Option<u64>,
}

/// Limits how much is held at the same time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Level(Arc<LevelParts>);

#[derive(Debug)]
struct LevelParts {
    tally: Tally,
    bounds: ArcSwap<Bounds>,
    accounts: Keyed<Box<str>, Amount>,
    addresses: Keyed<Origin, Amount>,
    /// The metric.
    all: Gauge,
    /// Notified when a sum is far over its limit.
    overdrawn: Notify,
}

/// The amount that one holder holds. Dropping it gives the amount back.
#[derive(Debug)]
pub struct Held {
    level: Level,
    account: Option<Arc<Amount>>,
    address: Option<Arc<Amount>>,
    own: AtomicU64,
}

impl Level {
    /// No limits, until [`Level::set`].
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

    /// Sets the limits. Amounts that are held already remain.
    pub fn set(&self, bounds: Bounds) {
        self.0.bounds.store(Arc::new(bounds));
    }

    /// A new holder for `account` (a normalised bare JID as text) at `address`. It holds nothing yet. A
    /// value of `None` has no limit.
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

    /// The amount that is held in all.
    #[must_use]
    pub fn all(&self) -> u64 {
        u64::try_from(self.0.all.get()).unwrap_or(0)
    }

    /// Whether all together would hold more than half of the limit with this amount.
    #[must_use]
    pub fn is_half_full(&self, more: u64) -> bool {
        let all = self.0.bounds.load().all;
        all.is_some_and(|most| self.all().saturating_add(more) > most / 2)
    }

    /// The limits above which delays did not help.
    #[must_use]
    pub fn far_bounds(&self) -> Bounds {
        let Bounds { account, address, all } = **self.0.bounds.load();
        Bounds { account: account.map(far), address: address.map(far), all: all.map(far) }
    }

    /// Waits until a sum is far over its limit. For one task only.
    pub async fn overdrawn(&self) {
        self.0.overdrawn.notified().await;
    }

    /// Counts an action of the budget.
    pub fn count(&self, scope: BudgetScope, action: Action) {
        self.0.tally.count(scope, action);
    }
}

impl Held {
    /// Holds `amount` from now on, whatever the limits are.
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

    /// Holds `amount` more if all sums stay within their limits.
    ///
    /// # Errors
    /// The scope whose limit would be exceeded. Then the amount does not change.
    pub fn try_add(&self, amount: u64) -> Result<(), BudgetScope> {
        let bounds = **self.level.0.bounds.load();
        let all = &self.level.0.all;
        // The gauge cannot be compared and changed in one operation, so it is changed first.
        let sum = all.inc_by(signed(amount)).saturating_add(signed(amount));
        let give_back = || {
            all.dec_by(signed(amount));
        };
        if bounds.all.is_some_and(|most| sum > signed(most)) {
            give_back();
            return Err(BudgetScope::All);
        }
        let account = self.account.as_deref();
        if account.is_some_and(|sum| !sum.try_add(amount, bounds.account)) {
            give_back();
            return Err(BudgetScope::Account);
        }
        if self.address.as_deref().is_some_and(|sum| !sum.try_add(amount, bounds.address)) {
            give_back();
            account.inspect(|sum| sum.subtract(amount));
            return Err(BudgetScope::Address);
        }
        self.own.fetch_add(amount, Ordering::AcqRel);
        Ok(())
    }

    /// The amount that this holder holds.
    #[must_use]
    pub fn own(&self) -> u64 {
        self.own.load(Ordering::Acquire)
    }

    /// The amount that its account holds.
    #[must_use]
    pub fn of_account(&self) -> u64 {
        self.account.as_deref().map_or_else(|| self.own(), Amount::get)
    }

    /// The scope whose limit is exceeded, if there is one: the account, the address, or all together.
    #[must_use]
    pub fn over(&self) -> Option<BudgetScope> {
        self.beyond(&self.level.0.bounds.load())
    }

    /// As [`Held::over`], but only if the limit is exceeded by more than a quarter, so that delays did not
    /// help.
    #[must_use]
    pub fn far_over(&self) -> Option<BudgetScope> {
        self.beyond(&self.level.far_bounds())
    }

    fn beyond(&self, bounds: &Bounds) -> Option<BudgetScope> {
        let is_beyond =
            |sum: Option<u64>, most: Option<u64>| most.is_some_and(|most| sum > Some(most));
        [
            (BudgetScope::Account, self.account.as_deref().map(Amount::get), bounds.account),
            (BudgetScope::Address, self.address.as_deref().map(Amount::get), bounds.address),
            (BudgetScope::All, Some(self.level.all()), bounds.all),
        ]
        .into_iter()
        .find_map(|(scope, sum, most)| is_beyond(sum, most).then_some(scope))
    }

    /// Another holder for the same account and address. It holds nothing yet.
    #[must_use]
    pub fn sibling(&self) -> Self {
        Self {
            level: self.level.clone(),
            account: self.account.clone(),
            address: self.address.clone(),
            own: AtomicU64::new(0),
        }
    }

    /// The level to which it belongs.
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

/// A sum of held amounts.
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

/// A sum of zero can be forgotten. A holder of an amount also keeps the sum alive.
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
