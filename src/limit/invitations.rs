//! The budget of invitations that do not exist: a defence against guessing tokens from many addresses, or by requests for
//! subscriptions. What one address may try is a part of the budget of registrations.
//!
//! What is easy to get wrong: a bound in all, by which a few attackers lock out all who have a real invitation. So who is
//! over it is refused only from an address that has tried an unknown token within the hour: it gets one try in that time. So
//! does an account that asks for subscriptions, and the domain of another server.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::budget::{About, Action, BudgetScope, Rule, Tally};
use super::keyed::{Forget, Keyed};
use super::origin::Origin;
use super::rate::{Bucket, BucketClock};
use crate::metrics::Metrics;

/// The description of the budget.
pub(super) const ABOUT: About = About {
    name: "unknown_invitations",
    unit: "invitations an hour",
    text: "Invitations that do not exist, tried by browsers, by clients that register, and in requests for subscriptions. \
           Over the budget, an address, account or other server that has tried one within the hour is refused, \
           whatever it tries next.",
    rules: &[Rule {
        scope: BudgetScope::All,
        option: "budgets.unknown_invitations",
        actions: &[Action::Error],
    }],
};

/// Limits how many tokens are guessed from all addresses together.
#[derive(Debug)]
pub struct UnknownInvitations {
    tally: Tally,
    clock: BucketClock,
    /// In an hour. 0: no limit.
    most: AtomicU32,
    all: Bucket,
    lately: Keyed<Guesser, Lately>,
}

/// Who tries a token.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Guesser(Who);

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Who {
    Address(Origin),
    Contact(Box<str>),
}

impl Guesser {
    /// Somebody who asks for a subscription: an account here, or the domain of another server.
    #[must_use]
    pub fn contact(name: &str) -> Self {
        Self(Who::Contact(name.into()))
    }
}

/// A browser, or a client that registers.
impl From<IpAddr> for Guesser {
    fn from(address: IpAddr) -> Self {
        Self(Who::Address(Origin::of(address)))
    }
}

/// The guesser has tried an unknown token: until when that counts.
#[derive(Debug, Default)]
struct Lately(Bucket);

impl UnknownInvitations {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            tally: Tally::new(&ABOUT, metrics),
            clock: BucketClock::default(),
            most: AtomicU32::new(0),
            all: Bucket::default(),
            lately: Keyed::default(),
        }
    }

    /// At most so many in an hour. 0: no limit.
    pub(super) fn set(&self, most: u32) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Whether a token may be tried, right or wrong.
    #[must_use]
    pub fn may_try(&self, who: impl Into<Guesser>) -> bool {
        let Some(cost) = self.cost() else { return true };
        let now = self.clock.now();
        if self.all.wait_for(now, cost, HOUR).is_zero() {
            return true;
        }
        let known = self.lately.find(&who.into());
        let may = known.is_none_or(|lately| lately.until() <= now);
        if !may {
            self.tally.count(BudgetScope::All, Action::Error);
        }
        may
    }

    /// The token was unknown.
    pub fn note(&self, who: impl Into<Guesser>) {
        let Some(cost) = self.cost() else { return };
        let now = self.clock.now();
        // One that is over the budget does not make it last longer.
        self.all.take_within(now, cost, HOUR, Duration::ZERO);
        let lately = self.lately.get(&who.into(), now);
        lately.0.fill();
        lately.0.take(now, HOUR, Duration::ZERO);
    }

    /// What one of them takes of the hour.
    fn cost(&self) -> Option<Duration> {
        HOUR.checked_div(self.most.load(Ordering::Relaxed))
    }
}

impl Forget for Lately {
    fn until(&self) -> u64 {
        self.0.until()
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_addresses_have_one_try_each_when_all_have_tried_too_many() {
        let invitations = UnknownInvitations::new(&Metrics::new());
        let address = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        for n in 0..100 {
            assert!(invitations.may_try(address(n % 3)), "without a limit");
            invitations.note(address(n % 3));
        }
        invitations.set(10);
        for n in 0..10 {
            assert!(invitations.may_try(address(n % 3)));
            invitations.note(address(n % 3));
        }
        assert!(!(0..3).any(|n| invitations.may_try(address(n))));
        // Whoever comes with a real invitation is not kept out by them.
        for n in 3..1000 {
            assert!(invitations.may_try(address(n)));
            invitations.note(address(n));
            assert!(!invitations.may_try(address(n)));
        }
        let contact = Guesser::contact;
        assert!(invitations.may_try(contact("c.example")));
        invitations.note(contact("c.example"));
        assert!(!invitations.may_try(contact("c.example")));
        assert!(invitations.may_try(contact("d.example")));
        advance(HOUR / 10).await;
        assert!(invitations.may_try(address(0)));
        invitations.note(address(0));
        assert!(!invitations.may_try(address(0)));
    }
}
