//! `[budgets]`: how much of the shared resources one account, or one address, may use.

use std::time::Duration;

use super::section::section;
use super::units::{GIB, KIB, MIB, minutes, seconds};
use super::value::{Accounts, Count, Size, Time};
use crate::jid::BareJid;

section! {
    /// Limits for shared resources: for one account, for one address (IPv6: its /64), and for all
    /// together. A client that asks for more is first delayed, then refused, and at last disconnected.
    /// 0 = no limit. `docs/budgets.md` lists all budgets and what they do.
    pub struct BudgetsConfig = "budgets";

    /// Accounts without limits on traffic and work: bots of the operator that send in bulk. It takes
    /// effect at their next login.
    exempt: Vec<BareJid> = Vec::new() => Accounts, Reload;

    /// An account or an address may use at once the traffic and work that it did not use during this
    /// time.
    burst: Duration = seconds(60) => Time::between(seconds(1), minutes(60))
        .not_less("a login alone brings some stanzas at once"), Reload;

    /// Bytes per second that all sessions of one account may send on average. One session may send
    /// half of it.
    traffic_per_account: usize = 256 * KIB => Size::between(0, GIB), Reload;

    /// Bytes per second that all clients at one address may send on average. Many people may share an
    /// address.
    traffic_per_address: usize = 4 * MIB => Size::between(0, GIB), Reload;

    /// Steps of work per second that all sessions of one account may cause on average. One session may
    /// cause half of it. A stanza costs one step, each delivery of it one more, a write to the database
    /// four.
    work_per_account: usize = 1000 => Count::between(0, 10_000_000), Reload;

    /// Steps of work per second that all clients at one address may cause on average.
    work_per_address: usize = 50_000 => Count::between(0, 10_000_000), Reload;

    /// Failed logins to one account per minute, on average. Each address from which a login to the account succeeded
    /// within a week is counted separately.
    guesses_per_account: u32 = 30 => Count::between(0, 6000), Reload;

    /// Failed logins from one address per minute, on average (see `auth.slow_addresses`).
    guesses_per_address: u32 = 5 => Count::between(0, 6000), Reload;

    /// Invitations that do not exist and are tried all the same, from all addresses and in all requests for subscriptions
    /// together in an hour. Beyond it, an address, an account or another server that has tried one within the hour is
    /// refused. (See also `registration.per_address`.)
    unknown_invitations: u32 = 1000 => Count::between(0, 1_000_000), Reload;

    /// Bytes held in memory for the clients of one account: what waits to be written, and what they
    /// have not acknowledged. Beyond it, messages stay in the store until there is room; beyond it by a
    /// quarter, the session that holds most is closed.
    memory_per_account: usize = 16 * MIB => Size::between(0, 64 * GIB), Reload;

    /// Bytes held in memory for all clients together, likewise.
    memory: usize = GIB => Size::between(0, 1024 * GIB), Reload;

    /// Devices of one account to which notifications are on their way (XEP-0357). Over the limit, no more
    /// are woken.
    pushes_per_account: usize = 50 => Count::between(0, 1_000_000), Reload;

    /// Devices of all accounts together, likewise.
    pushes: usize = 10_000 => Count::between(0, 10_000_000), Reload;

    /// Bytes of stanzas of one account that wait until another server is reached. Over the limit, it gets an error.
    remote_per_account: usize = MIB => Size::between(0, 64 * GIB), Reload;

    /// Bytes of stanzas of all accounts together, likewise.
    remote: usize = 256 * MIB => Size::between(0, 1024 * GIB), Reload;

    /// Bytes per second that the server of one other domain may send on average.
    traffic_per_domain: usize = 4 * MIB => Size::between(0, 64 * GIB), Reload;

    /// Clients of one other domain that are asked at the same time what they can do. Over the limit, they are asked later.
    questions_per_domain: usize = 50 => Count::between(0, 1_000_000), Reload;

    /// Clients of all other domains together, likewise.
    questions: usize = 1_000 => Count::between(0, 10_000_000), Reload;

    /// Requests of the server to the clients of one account that wait for an answer at the same time.
    /// Over the limit, the server does not ask them.
    requests_per_account: usize = 100 => Count::between(0, 1_000_000), Reload;

    /// Requests of the server to all clients and servers together, likewise.
    requests: usize = 10_000 => Count::between(0, 10_000_000), Reload;

    /// Programs that follow the archive of one account by the HTTP API at the same time. Over the limit, they are told to
    /// try again later.
    api_streams_per_account: usize = 10 => Count::between(0, 1_000_000), Reload;

    /// Programs that follow archives of all accounts, likewise.
    api_streams: usize = 1000 => Count::between(0, 10_000_000), Reload;

    /// Users who download all their data from their own pages at the same time. Over the limit, they are told to try again
    /// later.
    exports: usize = 20 => Count::between(0, 1_000_000), Reload;

    /// Files that clients at one address upload at the same time (XEP-0363). Over the limit, they are told to try
    /// again later.
    uploads_per_address: usize = 100 => Count::between(0, 1_000_000), Reload;

    /// Files that all clients upload at the same time, likewise.
    uploads: usize = 1000 => Count::between(0, 1_000_000), Reload;

    /// Bytestreams of one account at the same time (XEP-0065). Over the limit, no more are activated.
    bytestreams_per_account: usize = 20 => Count::between(0, 1_000_000), Reload;

    /// Bytestreams of all accounts at the same time, likewise.
    bytestreams: usize = 1000 => Count::between(0, 1_000_000), Reload;

    /// Connections from one address to the proxy for bytestreams that nobody has activated yet (XEP-0065). Over the
    /// limit, they are closed.
    waiting_bytestreams_per_address: usize = 40 => Count::between(0, 1_000_000), Reload;

    /// Connections from all addresses to the proxy for bytestreams, likewise.
    waiting_bytestreams: usize = 2000 => Count::between(0, 1_000_000), Reload;

    /// Bytes per second that all bytestreams of one account relay on average, in both directions together.
    bytestream_traffic_per_account: usize = 8 * MIB => Size::between(0, 64 * GIB), Reload;

    /// Bytes per second that the proxy for bytestreams takes from one address on average.
    bytestream_traffic_per_address: usize = 16 * MIB => Size::between(0, 64 * GIB), Reload;

    /// Bytes per second that all bytestreams together relay on average.
    bytestream_traffic: usize = 0 => Size::between(0, 64 * GIB), Reload;
}
