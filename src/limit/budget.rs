//! Budgets: what many share is shared by rule. One account, or one address, cannot take all of it.
//!
//! A budget has a name, a unit, and a bound for an account, for an address (of IPv6: its /64), and
//! for all together. Who is over it is first delayed (back-pressure), then gets an error, and at last
//! is closed. Each such action is counted by the metric `budget_actions`.
//!
//! There are two kinds. A [`Rate`] bounds how much happens in a second: its buckets fill all the time,
//! and what is left unused for up to `budgets.burst` may be used at once. A [`Level`] bounds how much
//! is held now: what is held is given back when its [`Held`] is dropped.
//!
//! # How to join
//!
//! 1. Write an [`About`] in a file of this folder, and enter it in `ALL` in `mod.rs`. From there come
//!    `docs/budgets.md` and the series of the metrics.
//! 2. Add the options to `[budgets]` (`src/config/budgets.rs`): `NAME_per_account`, and so on. 0 means
//!    that there is no bound.
//! 3. Make a `Rate` or a `Level` a field of `Budgets` in `mod.rs`. `Budgets::apply` gives it its bounds,
//!    at the start and at each reload.
//! 4. Who uses the resource asks for its [`Share`] or [`Held`] once, when its session begins, and keeps
//!    it. From then on nothing is looked up: [`Share::take`] says how long to wait, [`Held::set`] notes
//!    what is held.
//!
//! A resource whose amount is known elsewhere, for example in the database, needs neither of the
//! two: it has an `About` and a [`Tally`], and counts there what it refuses.
//!
//! Strangers choose the keys. So there is a bound on how many keys are remembered (`keyed.rs`).

use crate::metrics::Metrics;

/// What there is to know about a budget.
#[derive(Debug)]
pub struct About {
    /// Its name: the first label of the metrics.
    pub name: &'static str,
    /// What is counted, in words.
    pub unit: &'static str,
    /// One sentence for administrators.
    pub text: &'static str,
    /// Whose sums are bounded, by which option, and what is done about it.
    pub rules: &'static [Rule],
}

/// One bound of a budget.
#[derive(Debug)]
pub struct Rule {
    /// Whose sum is bounded.
    pub scope: Scope,
    /// The option that sets the bound.
    pub option: &'static str,
    /// What happens to who is over it, in this order.
    pub actions: &'static [Action],
}

/// Whose sum is bounded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// An account: all of its sessions together.
    Account,
    /// An address: of IPv4 itself, of IPv6 its /64.
    Address,
    /// Everybody together.
    All,
    /// One session, so that an account's other sessions get their part of what it may use.
    Session,
}

/// What happens to who is over a budget.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// The connection or the stream is closed.
    Close,
    /// What is asked for is done later.
    Delay,
    /// What is asked for is refused.
    Error,
}

impl Scope {
    /// As in the metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Address => "address",
            Self::All => "all",
            Self::Session => "session",
        }
    }
}

impl Action {
    /// As in the metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Delay => "delay",
            Self::Error => "error",
        }
    }
}

/// Counts what a budget does. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tally {
    about: &'static About,
    metrics: Metrics,
}

impl Tally {
    /// All series of the budget are shown from now on, at zero.
    #[must_use]
    pub fn new(about: &'static About, metrics: &Metrics) -> Self {
        let this = Self { about, metrics: metrics.clone() };
        for rule in about.rules {
            for action in rule.actions {
                drop(this.metrics.budget_actions.counter(this.labels(rule.scope, *action)));
            }
        }
        this
    }

    /// Somebody is over the budget, and this is done about it.
    pub fn count(&self, scope: Scope, action: Action) {
        self.metrics.budget_actions.inc(self.labels(scope, action));
    }

    fn labels(&self, scope: Scope, action: Action) -> [&'static str; 3] {
        [self.about.name, scope.word(), action.word()]
    }
}
