//! `[budgets]`: how much of what many share one account, or one address, may have.

use std::time::Duration;

use super::kind::{Accounts, Count, Size, Time};
use super::section::section;
use super::units::{GIB, KIB, MIB, minutes, seconds};
use crate::jid::BareJid;

section! {
    /// How much of what many share one account may have, one address (of IPv6: its /64), and all
    /// together. Who asks for more is first delayed, then refused, and at last closed. 0 means that there
    /// is no bound. `docs/budgets.md` lists all budgets and what they do.
    pub struct BudgetsConfig = "budgets";

    /// Accounts whose traffic and work have no bound: bots of the operator that send in bulk. It
    /// holds from their next login on.
    exempt: Vec<BareJid> = Vec::new() => Accounts, Reload;

    /// What an account or an address leaves unused for so long, of traffic and of work, it may use at
    /// once.
    burst: Duration = seconds(60) => Time::between(seconds(1), minutes(60))
        .not_less("a login alone brings some stanzas at once"), Reload;

    /// Bytes a second that the sessions of one account may send in the long run, together; one
    /// session may send half as many.
    traffic_per_account: usize = 256 * KIB => Size::between(0, GIB), Reload;

    /// Bytes a second that the clients of one address may send in the long run. Many people may
    /// share one.
    traffic_per_address: usize = 4 * MIB => Size::between(0, GIB), Reload;

    /// Steps of work a second that the sessions of one account may set going in the long run, together;
    /// one session may set going half as many. A stanza is a step, each delivery that it brings about is
    /// one, a write to the store is four.
    work_per_account: usize = 1000 => Count::between(0, 10_000_000), Reload;

    /// Steps of work a second that the clients of one address may set going in the long run.
    work_per_address: usize = 50_000 => Count::between(0, 10_000_000), Reload;

    /// Logins to one account that may fail in a minute, in the long run. Addresses where a login to the
    /// account succeeded within a week are counted each by itself.
    guesses_per_account: u32 = 30 => Count::between(0, 6000), Reload;

    /// Logins from one address that may fail in a minute, in the long run (`auth.slow_addresses`).
    guesses_per_address: u32 = 5 => Count::between(0, 6000), Reload;

    /// Bytes held in memory for the clients of one account: what waits to be written, and what they
    /// have not acknowledged. Beyond it, messages stay in the store until there is room; beyond it by a
    /// quarter, the session that holds most is closed.
    memory_per_account: usize = 16 * MIB => Size::between(0, 64 * GIB), Reload;

    /// Bytes held in memory for all clients together, likewise.
    memory: usize = GIB => Size::between(0, 1024 * GIB), Reload;
}
