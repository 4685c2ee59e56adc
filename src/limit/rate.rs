//! Budgets of what happens in a second. An amount that was unused may be used at once.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::budget::{About, Action, BudgetScope, Tally};
use super::keyed::{Forget, Keyed};
use super::origin::Origin;
use crate::metrics::Metrics;

/// The speed that is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Units per second in the long run; above 0.
    pub per_second: f64,
    /// The amount that was unused for up to this time may be used at once.
    pub burst: Duration,
}

/// The limits of a budget. `None`: no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Paces {
    /// The pace of each session.
    pub session: Option<Pace>,
    /// The pace of each account.
    pub account: Option<Pace>,
    /// The pace of each address.
    pub address: Option<Pace>,
    /// The pace of all together.
    pub all: Option<Pace>,
}

/// Limits how much happens in a second. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Rate(Arc<RateParts>);

#[derive(Debug)]
struct RateParts {
    tally: Tally,
    paces: ArcSwap<Paces>,
    clock: BucketClock,
    accounts: Keyed<Box<str>, Bucket>,
    addresses: Keyed<Origin, Bucket>,
    all: Bucket,
}

/// The part of a rate that one session, or one request, uses.
#[derive(Debug)]
pub struct Share {
    rate: Rate,
    session: Bucket,
    account: Option<Arc<Bucket>>,
    address: Option<Arc<Bucket>>,
    is_exempt: bool,
}

/// A rate is exceeded, and its user must wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wait {
    /// Whose sum it is.
    pub scope: BudgetScope,
    /// How long to wait.
    pub time: Duration,
}

impl Rate {
    /// No limits, until [`Rate::set`].
    #[must_use]
    pub fn new(about: &'static About, metrics: &Metrics) -> Self {
        Self(Arc::new(RateParts {
            tally: Tally::new(about, metrics),
            paces: ArcSwap::default(),
            clock: BucketClock::default(),
            accounts: Keyed::default(),
            addresses: Keyed::default(),
            all: Bucket::default(),
        }))
    }

    /// Sets the limits, also for existing shares.
    pub fn set(&self, paces: Paces) {
        self.0.paces.store(Arc::new(paces));
    }

    /// The share of a session of `account` (a normalised bare JID as text) at `address`. A value of `None`
    /// has no limit.
    #[must_use]
    pub fn share(&self, account: Option<&str>, address: Option<IpAddr>) -> Share {
        let parts = &*self.0;
        let now = parts.clock.now();
        Share {
            rate: self.clone(),
            session: Bucket::default(),
            account: account.map(|account| parts.accounts.get(account, now)),
            address: address.map(|address| parts.addresses.get(&Origin::of(address), now)),
            is_exempt: false,
        }
    }

    /// A share without any limit. Its use is not counted.
    #[must_use]
    pub fn exempt(&self) -> Share {
        Share { is_exempt: true, ..self.share(None, None) }
    }
}

impl Share {
    /// Takes `amount` in any case. Returns how long to wait until all sums are within their limits again
    /// (the longest wait). For things that have happened already.
    ///
    /// A debt of a few milliseconds causes no wait; debts add up.
    pub fn take(&self, amount: u64) -> Option<Wait> {
        if self.is_exempt {
            return None;
        }
        let paces = **self.rate.0.paces.load();
        let now = self.rate.0.clock.now();
        let longest = self
            .buckets(&paces)
            .map(|(scope, bucket, pace)| (bucket.take(now, pace.cost(amount), pace.burst), scope))
            .max_by_key(|(wait, _)| *wait);
        let (time, scope) = longest.filter(|(wait, _)| *wait >= LEAST_WAIT)?;
        Some(Wait { scope, time })
    }

    /// Takes `amount` if all sums stay within their limits.
    ///
    /// # Errors
    /// The scope whose limit would be exceeded. Then nothing is taken.
    pub fn try_take(&self, amount: u64) -> Result<(), BudgetScope> {
        if self.is_exempt {
            return Ok(());
        }
        let paces = **self.rate.0.paces.load();
        let now = self.rate.0.clock.now();
        let mut taken = SmallVec::<[(&Bucket, Duration); 4]>::new();
        for (scope, bucket, pace) in self.buckets(&paces) {
            let cost = pace.cost(amount);
            if bucket.take_within(now, cost, pace.burst, Duration::ZERO).is_none() {
                taken.iter().for_each(|(bucket, cost)| bucket.give_back(*cost));
                return Err(scope);
            }
            taken.push((bucket, cost));
        }
        Ok(())
    }

    /// Counts an action of the budget.
    pub fn count(&self, scope: BudgetScope, action: Action) {
        self.rate.0.tally.count(scope, action);
    }

    fn buckets(&self, paces: &Paces) -> impl Iterator<Item = (BudgetScope, &Bucket, Pace)> {
        let all = [
            (BudgetScope::Session, Some(&self.session), paces.session),
            (BudgetScope::Account, self.account.as_deref(), paces.account),
            (BudgetScope::Address, self.address.as_deref(), paces.address),
            (BudgetScope::All, Some(&self.rate.0.all), paces.all),
        ];
        all.into_iter().filter_map(|(scope, bucket, pace)| Some((scope, bucket?, pace?)))
    }
}

impl Pace {
    /// The time that `amount` takes.
    fn cost(self, amount: u64) -> Duration {
        // The upper limit prevents a panic if the speed is almost zero.
        Duration::from_secs_f64((amount as f64 / self.per_second).clamp(0.0, MOST_SECONDS))
    }
}

/// The clock of the buckets: nanoseconds since its creation.
#[derive(Clone, Copy, Debug)]
pub(super) struct BucketClock(Instant);

impl Default for BucketClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl BucketClock {
    pub(super) fn now(&self) -> u64 {
        nanoseconds(self.0.elapsed())
    }
}

/// A bucket that fills continuously, stored as the time at which it is full again. It is one atomic number,
/// so that many tasks can take from it at the same time without a lock, and limits can change at any time.
#[derive(Debug, Default)]
pub(super) struct Bucket(AtomicU64);

impl Bucket {
    /// Takes `cost` in any case. Returns how long to wait for the missing amount.
    pub(super) fn take(&self, now: u64, cost: Duration, burst: Duration) -> Duration {
        let add = |full_at: u64| Some(full_at.max(now).saturating_add(nanoseconds(cost)));
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
        let (Ok(before) | Err(before)) = before;
        missing(before, now, cost, burst)
    }

    /// Takes `cost` if the wait for the missing amount is at most `longest`. Returns the wait.
    pub(super) fn take_within(
        &self,
        now: u64,
        cost: Duration,
        burst: Duration,
        longest: Duration,
    ) -> Option<Duration> {
        let add = |full_at: u64| {
            let fits = missing(full_at, now, cost, burst) <= longest;
            fits.then(|| full_at.max(now).saturating_add(nanoseconds(cost)))
        };
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).ok()?;
        Some(missing(before, now, cost, burst))
    }

    /// How long one would have to wait if `cost` were taken now. It takes nothing.
    pub(super) fn wait_for(&self, now: u64, cost: Duration, burst: Duration) -> Duration {
        missing(self.0.load(Ordering::Acquire), now, cost, burst)
    }

    pub(super) fn give_back(&self, cost: Duration) {
        let less = |full_at: u64| Some(full_at.saturating_sub(nanoseconds(cost)));
        let (Ok(_) | Err(_)) = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    }

    /// Whether the bucket is full.
    pub(super) fn fill(&self) {
        self.0.store(0, Ordering::Release);
    }
}

impl Forget for Bucket {
    fn until(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

fn missing(full_at: u64, now: u64, cost: Duration, burst: Duration) -> Duration {
    let full_at = full_at.max(now).saturating_add(nanoseconds(cost));
    Duration::from_nanos(full_at.saturating_sub(now.saturating_add(nanoseconds(burst))))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The resolution of timers is a millisecond.
const LEAST_WAIT: Duration = Duration::from_millis(5);
const MOST_SECONDS: f64 = 1e9;
