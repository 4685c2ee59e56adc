//! The budgets of what clients send: bytes, and the work that their stanzas cause.

use std::net::IpAddr;

use super::budget::{About, Action, BudgetScope, Rule};
use super::rate::{Rate, Share, Wait};
use crate::jid::BareJid;

/// The description of the budget of bytes.
pub(super) const TRAFFIC: About = About {
    name: "traffic",
    unit: "bytes a second",
    text: "Bytes that logged-in clients send. The server reads later from a client over its budget.",
    rules: &[
        Rule {
            scope: BudgetScope::Session,
            option: "half of budgets.traffic_per_account",
            actions: &[Action::Delay, Action::Close],
        },
        Rule {
            scope: BudgetScope::Account,
            option: "budgets.traffic_per_account",
            actions: &[Action::Delay, Action::Close],
        },
        Rule {
            scope: BudgetScope::Address,
            option: "budgets.traffic_per_address",
            actions: &[Action::Delay, Action::Close],
        },
    ],
};

/// The description of the budget of work.
pub(super) const WORK: About = About {
    name: "work",
    unit: "steps a second",
    text: "Work that clients cause: a stanza costs one step, each delivery of it one more, a write to the \
           database four. The server reads later from a client over its budget.",
    rules: &[
        Rule {
            scope: BudgetScope::Session,
            option: "half of budgets.work_per_account",
            actions: &[Action::Delay, Action::Close],
        },
        Rule {
            scope: BudgetScope::Account,
            option: "budgets.work_per_account",
            actions: &[Action::Delay, Action::Close],
        },
        Rule {
            scope: BudgetScope::Address,
            option: "budgets.work_per_address",
            actions: &[Action::Delay, Action::Close],
        },
    ],
};

/// The shares of one client with a session. Made when a connection gets its session.
#[derive(Debug)]
pub struct Client {
    traffic: Share,
    work: Share,
}

impl Client {
    pub(super) fn new(traffic: &Rate, work: &Rate, user: &BareJid, address: IpAddr) -> Self {
        let share = |rate: &Rate| rate.share(Some(user.as_str()), Some(address));
        Self { traffic: share(traffic), work: share(work) }
    }

    pub(super) fn exempt(traffic: &Rate, work: &Rate) -> Self {
        Self { traffic: traffic.exempt(), work: work.exempt() }
    }

    /// Counts bytes that were read. Returns how long to wait before more are read.
    pub fn read(&self, bytes: usize) -> Option<Pause<'_>> {
        pause(&self.traffic, bytes as u64)
    }

    /// Counts steps of work. Returns how long to wait before more are done.
    pub fn worked(&self, steps: u32) -> Option<Pause<'_>> {
        pause(&self.work, u64::from(steps))
    }
}

/// A client must wait, or lose its connection if that would take too long.
#[derive(Debug)]
pub struct Pause<'a> {
    share: &'a Share,
    wait: Wait,
}

impl Pause<'_> {
    /// How long to wait. `None`: it would take so long that the stream must be closed instead.
    ///
    /// The call counts the action.
    #[must_use]
    pub fn time(&self) -> Option<std::time::Duration> {
        let is_long = self.wait.time > LONGEST;
        let action = if is_long { Action::Close } else { Action::Delay };
        self.share.count(self.wait.scope, action);
        (!is_long).then_some(self.wait.time)
    }
}

fn pause(share: &Share, amount: u64) -> Option<Pause<'_>> {
    let wait = share.take(amount)?;
    Some(Pause { share, wait })
}

/// A client that waits for longer believes that the connection is lost.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(60);
