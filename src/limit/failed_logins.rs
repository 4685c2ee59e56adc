//! The budget of failed logins: a defence against guessing passwords, by address and by account.
//!
//! Two mistakes are easy to make here: a delay that an attacker can turn against the owner of an account,
//! and a delay that each connection waits for on its own. So all logins wait in the same two queues, one
//! for the address and one for the account. A wrong password takes a place in both queues, whether its
//! client waits for the answer or not. A right password waits as long as a wrong one would, and takes no
//! place. A login that would wait too long is refused, right or wrong (`temporary-auth-failure`). So an
//! attacker gets no more answers than there are places.
//!
//! If a login to an account succeeded from an address within a week, only the failures of that pair count:
//! the owner at home notices no attack from elsewhere. An account has two queues: one for addresses that
//! have failed more than a few times recently, and one for all others. So an owner at a new address does
//! not wait behind attackers. A success counts only for its own pair of address and account. Unknown
//! accounts count like others, so nobody can learn which accounts exist.

use std::net::IpAddr;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::budget::{About, Action, BudgetScope, Rule, Tally};
use super::keyed::{Forget, Keyed};
use super::origin::Origin;
use super::rate::{Bucket, BucketClock};
use crate::metrics::Metrics;

/// The description of the budget.
pub(super) const ABOUT: About = About {
    name: "guesses",
    unit: "failed logins a minute",
    text: "Failed logins. An address from which a login to the account succeeded within a week has a \
           budget of its own for that account, as large as that of an address.",
    rules: &[
        Rule {
            scope: BudgetScope::Account,
            option: "budgets.guesses_per_account",
            actions: &[Action::Delay, Action::Error],
        },
        Rule {
            scope: BudgetScope::Address,
            option: "budgets.guesses_per_address",
            actions: &[Action::Delay, Action::Error],
        },
    ],
};

/// The queues in which logins wait.
#[derive(Debug)]
pub struct Guesses {
    tally: Tally,
    clock: BucketClock,
    costs: ArcSwap<Costs>,
    addresses: Keyed<Origin, Address>,
    accounts: Keyed<Box<str>, Account>,
    /// Pairs of address and account whose login has succeeded.
    pairs: Keyed<(Origin, Box<str>), Pair>,
}

/// How long a failed login takes. Zero: there is no limit.
#[derive(Clone, Copy, Debug, Default)]
struct Costs {
    address: Duration,
    account: Duration,
}

/// Too many logins wait already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooMany;

#[derive(Debug, Default)]
struct Address {
    line: Bucket,
    /// The recent failures of the address, for longer than its queue remembers.
    lately: Bucket,
}

#[derive(Debug, Default)]
struct Account {
    /// The queue for addresses with few recent failures.
    quiet: Bucket,
    /// The queue for all other addresses.
    loud: Bucket,
}

#[derive(Debug, Default)]
struct Pair {
    line: Bucket,
    /// The time until which the pair is trusted. It is a bucket, which is a point in time.
    trusted: Bucket,
}

impl Guesses {
    /// No failures, and no limits until [`Guesses::set`].
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            tally: Tally::new(&ABOUT, metrics),
            clock: BucketClock::default(),
            costs: ArcSwap::default(),
            addresses: Keyed::default(),
            accounts: Keyed::default(),
            pairs: Keyed::default(),
        }
    }

    /// At most so many failures in a minute, in the long run. 0: no limit.
    pub fn set(&self, per_account: u32, per_address: u32) {
        let cost = |per_minute: u32| match per_minute {
            0 => Duration::ZERO,
            per_minute => MINUTE / per_minute,
        };
        let (address, account) = (cost(per_address), cost(per_account));
        self.costs.store(Costs { address, account }.into());
    }

    /// Counts a login that was checked, and returns how long its answer must wait. `account`: the normalised bare JID as
    /// text; `None` if it is unknown. No answer waits longer than `longest`.
    ///
    /// `by_address`: the login counts against the address, too (`auth.slow_addresses`).
    ///
    /// # Errors
    /// If it would have to wait too long. Then the answer must be a temporary failure, whatever the result
    /// of the check was.
    pub fn answer(
        &self,
        address: IpAddr,
        account: Option<&str>,
        is_right: bool,
        by_address: bool,
        longest: Duration,
    ) -> Result<Duration, TooMany> {
        let (now, origin) = (self.clock.now(), Origin::of(address));
        let costs = **self.costs.load();
        let take = |line: &Bucket, cost: Duration| match (is_right, cost.is_zero()) {
            (_, true) => Some(Duration::ZERO),
            (false, _) => line.take_within(now, cost, cost * AT_ONCE, longest),
            (true, _) => {
                Some(line.wait_for(now, cost, cost * AT_ONCE)).filter(|wait| *wait <= longest)
            }
        };
        // A phone with an old password slows itself down, not all devices behind its address.
        if let Some(pair) = account.and_then(|account| self.trusted(origin, account, now)) {
            let wait = take(&pair.line, costs.address);
            return self.counted(wait, BudgetScope::Address);
        }
        let mut of_address = Duration::ZERO;
        let mut is_loud = false;
        let sender = by_address.then(|| self.addresses.get(&origin, now));
        if let Some(sender) = &sender {
            is_loud = sender.lately.wait_for(now, LATELY, LATELY * FEW) > Duration::ZERO;
            of_address = self.counted(take(&sender.line, costs.address), BudgetScope::Address)?;
            if !is_right {
                let longest = LATELY * MOST_LATELY;
                sender.lately.take_within(now, LATELY, LATELY * FEW, longest);
            }
        }
        let Some(account) = account else { return Ok(of_address) };
        let account = self.accounts.get(account, now);
        let line = if is_loud { &account.loud } else { &account.quiet };
        let wait = take(line, costs.account);
        if let (None, Some(sender), false) = (wait, &sender, is_right) {
            sender.line.give_back(costs.address);
        }
        Ok(of_address.max(self.counted(wait, BudgetScope::Account)?))
    }

    /// Whether so many logins from this address wait that one more would be refused, so that it need not
    /// be checked. For logins whose account is not known yet.
    #[must_use]
    pub fn is_full(&self, address: IpAddr, longest: Duration) -> bool {
        let cost = self.costs.load().address;
        let sender = self.addresses.find(&Origin::of(address));
        let is_full = sender.is_some_and(|sender| {
            !cost.is_zero()
                && sender.line.wait_for(self.clock.now(), cost, cost * AT_ONCE) > longest
        });
        if is_full {
            self.tally.count(BudgetScope::Address, Action::Error);
        }
        is_full
    }

    /// Records that a login succeeded.
    pub fn note_success(&self, address: IpAddr, account: &str) {
        let now = self.clock.now();
        let pair = self.pairs.get(&(Origin::of(address), Box::from(account)), now);
        pair.line.fill();
        pair.trusted.fill();
        pair.trusted.take(now, TRUST, Duration::ZERO);
    }

    /// The pair, if its login has succeeded before.
    fn trusted(&self, origin: Origin, account: &str, now: u64) -> Option<std::sync::Arc<Pair>> {
        let pair = self.pairs.find(&(origin, Box::from(account)))?;
        (pair.trusted.until() > now).then_some(pair)
    }

    fn counted(&self, wait: Option<Duration>, scope: BudgetScope) -> Result<Duration, TooMany> {
        match wait {
            None => {
                self.tally.count(scope, Action::Error);
                Err(TooMany)
            }
            Some(wait) => {
                if !wait.is_zero() {
                    self.tally.count(scope, Action::Delay);
                }
                Ok(wait)
            }
        }
    }
}

impl Forget for Address {
    fn until(&self) -> u64 {
        self.line.until().max(self.lately.until())
    }
}

impl Forget for Account {
    fn until(&self) -> u64 {
        self.quiet.until().max(self.loud.until())
    }
}

impl Forget for Pair {
    fn until(&self) -> u64 {
        self.trusted.until()
    }
}

/// Failures that cause no delay: a typing error, and a second one.
const AT_ONCE: u32 = 5;
/// How long a failure counts as recent.
const LATELY: Duration = Duration::from_secs(20 * 60);
/// An address with more recent failures goes to the other queue of an account.
const FEW: u32 = 3;
/// The most failures that are counted, so that the address leaves the other queue after some hours.
const MOST_LATELY: u32 = 24;
const MINUTE: Duration = Duration::from_secs(60);
const TRUST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
