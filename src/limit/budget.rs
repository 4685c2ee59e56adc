//! Budgets: rules for sharing resources. No account and no address can use up what many share.
//!
//! A budget has a name, a unit, and a limit for an account, for an address (an IPv6 /64), and for all
//! together. A client that exceeds a limit is first delayed (back-pressure), then gets an error, and
//! finally loses its connection. The metric `budget_actions` counts each such action.
//!
//! There are two kinds. A [`Rate`] limits how much happens in a second: its buckets fill continuously, and
//! an amount that was unused for up to `budgets.burst` may be used at once. A [`Level`] limits how much is
//! held at the same time: dropping a [`Held`] gives its amount back.
//!
//! # How to add a resource
//!
//! 1. Write an [`About`] in a file of this folder, and add it to `ALL` in `mod.rs`. `docs/budgets.md` and
//!    the series of the metrics are made from that list.
//! 2. Add the options to `[budgets]` (`src/config/budgets.rs`): `NAME_per_account`, and so on. 0 means no
//!    limit.
//! 3. Add a `Rate` or a `Level` as a field to `Budgets` in `mod.rs`. `Budgets::apply` sets its limits, at
//!    the start and at each reload.
//! 4. Ask for a [`Share`] or a [`Held`] once, when a session begins, and keep it. After that nothing is
//!    looked up: [`Share::take`] returns how long to wait, [`Held::set`] sets the amount that is held.
//!
//! A resource whose amount is known elsewhere, for example in the database, needs neither of the two. It
//! has an `About` and a [`Tally`], which counts what is refused.
//!
//! Clients choose the keys, so the number of keys that are remembered is limited (`keyed.rs`).

use crate::metrics::Metrics;

/// The description of a budget.
#[derive(Debug)]
pub struct About {
    /// The name, which is also the first label of the metrics.
    pub name: &'static str,
    /// The unit, in words.
    pub unit: &'static str,
    /// One sentence for administrators.
    pub text: &'static str,
    /// The limits: whose sum, which option, and which actions.
    pub rules: &'static [Rule],
}

/// One limit of a budget.
#[derive(Debug)]
pub struct Rule {
    /// Whose sum is limited.
    pub scope: Scope,
    /// The option that sets the limit.
    pub option: &'static str,
    /// The actions when the limit is exceeded, in this order.
    pub actions: &'static [Action],
}

/// Whose sum is limited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// An account, with all of its sessions together.
    Account,
    /// An IPv4 address or an IPv6 /64.
    Address,
    /// All together.
    All,
    /// One session, so that the other sessions of the account get their part.
    Session,
}

/// What happens when a limit is exceeded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// The connection or the stream is closed.
    Close,
    /// The request is carried out later.
    Delay,
    /// The request is refused.
    Error,
}

impl Scope {
    /// The word in the metrics.
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
    /// The word in the metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Delay => "delay",
            Self::Error => "error",
        }
    }
}

/// Counts the actions of a budget. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tally {
    about: &'static About,
    metrics: Metrics,
}

impl Tally {
    /// Shows all series of the budget from now on, at zero.
    #[must_use]
    pub fn new(about: &'static About, metrics: &Metrics) -> Self {
        let this = Self { about, metrics: metrics.clone() };
        for rule in about.rules {
            for action in rule.actions {
                drop(this.metrics.budgets.actions.counter(this.labels(rule.scope, *action)));
            }
        }
        this
    }

    /// Counts an action.
    pub fn count(&self, scope: Scope, action: Action) {
        self.metrics.budgets.actions.inc(self.labels(scope, action));
    }

    fn labels(&self, scope: Scope, action: Action) -> [&'static str; 3] {
        [self.about.name, scope.word(), action.word()]
    }
}
