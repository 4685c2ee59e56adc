//! The budget of guesses: logins that fail, by address and by account.
//!
//! The thing one would get wrong: a brake that can be turned against the owner of an account, or that
//! each connection waits for alone. So all connections wait in the same two lines, one of the address
//! and one of the account. A wrong password takes a place in both, whether its client waits for
//! the answer or not; a right one waits as long as a wrong one would, and takes no place. Whoever would
//! have to wait for too long is refused, right or wrong (`temporary-auth-failure`). So nobody learns of
//! more guesses than there are places.
//!
//! From an address where a login to this account succeeded within a week, only the failures of
//! that pair count: the owner at home notices no attack from elsewhere. An account has two lines: one
//! for addresses that have failed more than a few times lately, and one for all others. So the owner
//! who comes from a new address does not stand behind those who guess all the time. A success speaks
//! for its own pair of address and account, nothing else. Unknown accounts count like others, so nothing
//! can be learnt about who exists.

use std::net::IpAddr;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::budget::{About, Action, Rule, Scope, Tally};
use super::keyed::{Forget, Keyed};
use super::origin::Origin;
use super::rate::{Bucket, BucketClock};
use crate::metrics::Metrics;

/// What there is to know about it.
pub(super) const ABOUT: About = About {
    name: "guesses",
    unit: "failed logins a minute",
    text: "Failed logins. An address from which a login to the account succeeded within a week has a \
           budget of its own for that account, as large as that of an address.",
    rules: &[
        Rule {
            scope: Scope::Account,
            option: "budgets.guesses_per_account",
            actions: &[Action::Delay, Action::Error],
        },
        Rule {
            scope: Scope::Address,
            option: "budgets.guesses_per_address",
            actions: &[Action::Delay, Action::Error],
        },
    ],
};

/// The lines in which logins wait.
#[derive(Debug)]
pub struct Guesses {
    tally: Tally,
    clock: BucketClock,
    costs: ArcSwap<Costs>,
    addresses: Keyed<Origin, Address>,
    accounts: Keyed<Box<str>, Account>,
    /// Those that have succeeded.
    pairs: Keyed<(Origin, Box<str>), Pair>,
}

/// How long a guess takes. Zero: there is no bound.
#[derive(Clone, Copy, Debug, Default)]
struct Costs {
    address: Duration,
    account: Duration,
}

/// Too many wait already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooMany;

#[derive(Debug, Default)]
struct Address {
    line: Bucket,
    /// What it has failed lately, for longer than its line remembers.
    lately: Bucket,
}

#[derive(Debug, Default)]
struct Account {
    /// Of addresses that have not failed often lately.
    quiet: Bucket,
    /// Of the others.
    loud: Bucket,
}

#[derive(Debug, Default)]
struct Pair {
    line: Bucket,
    /// Until when it is trusted: a bucket, since that is a moment.
    trusted: Bucket,
}

impl Guesses {
    /// Nobody has failed yet. Without bounds, until [`Guesses::set`].
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

    /// So many in a minute, in the long run. 0: no bound.
    pub fn set(&self, per_account: u32, per_address: u32) {
        let cost = |per_minute: u32| match per_minute {
            0 => Duration::ZERO,
            per_minute => MINUTE / per_minute,
        };
        let (address, account) = (cost(per_address), cost(per_account));
        self.costs.store(Costs { address, account }.into());
    }

    /// A login has come to its end, right or wrong: how long its answer is to wait. `account` is the
    /// bare JID as text, normalized; `None` if it is not known. No answer waits for more than `longest`.
    ///
    /// `by_address`: it counts against the address, too (`auth.slow_addresses`).
    ///
    /// # Errors
    /// If it would have to wait for too long. Then it is to be answered with a temporary failure,
    /// whatever has come out.
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
        // A phone with an old password slows itself down, not the house in which it is.
        if let Some(pair) = account.and_then(|account| self.trusted(origin, account, now)) {
            let wait = take(&pair.line, costs.address);
            return self.counted(wait, Scope::Address);
        }
        let mut of_address = Duration::ZERO;
        let mut is_loud = false;
        let sender = by_address.then(|| self.addresses.get(&origin, now));
        if let Some(sender) = &sender {
            is_loud = sender.lately.wait_for(now, LATELY, LATELY * FEW) > Duration::ZERO;
            of_address = self.counted(take(&sender.line, costs.address), Scope::Address)?;
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
        Ok(of_address.max(self.counted(wait, Scope::Account)?))
    }

    /// So many from this address wait that one more would be refused: its login need not be looked
    /// at. As long as the account is not known.
    #[must_use]
    pub fn is_full(&self, address: IpAddr, longest: Duration) -> bool {
        let cost = self.costs.load().address;
        let sender = self.addresses.find(&Origin::of(address));
        let is_full = sender.is_some_and(|sender| {
            !cost.is_zero()
                && sender.line.wait_for(self.clock.now(), cost, cost * AT_ONCE) > longest
        });
        if is_full {
            self.tally.count(Scope::Address, Action::Error);
        }
        is_full
    }

    /// A login succeeded.
    pub fn note_success(&self, address: IpAddr, account: &str) {
        let now = self.clock.now();
        let pair = self.pairs.get(&(Origin::of(address), Box::from(account)), now);
        pair.line.fill();
        pair.trusted.fill();
        pair.trusted.take(now, TRUST, Duration::ZERO);
    }

    /// A pair that is known from a success.
    fn trusted(&self, origin: Origin, account: &str, now: u64) -> Option<std::sync::Arc<Pair>> {
        let pair = self.pairs.find(&(origin, Box::from(account)))?;
        (pair.trusted.until() > now).then_some(pair)
    }

    fn counted(&self, wait: Option<Duration>, scope: Scope) -> Result<Duration, TooMany> {
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

/// Failures that cost no time: a slip, and a second one.
const AT_ONCE: u32 = 5;
/// After this time a failure is not counted among those that an address has had lately.
const LATELY: Duration = Duration::from_secs(20 * 60);
/// So many of them do not make an address loud.
const FEW: u32 = 3;
/// More are not counted, so that an address is quiet again after some hours.
const MOST_LATELY: u32 = 24;
const MINUTE: Duration = Duration::from_secs(60);
const TRUST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
