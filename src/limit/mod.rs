//! Budgets: limits on shared resources, by account, by address and in all. [`budget`] explains how to add
//! a resource.

mod api;
mod archives;
mod budget;
mod bytestreams;
mod client;
mod connections;
mod exports;
mod failed_logins;
mod held;
mod invitations;
mod keyed;
mod memory;
mod open_files;
mod origin;
mod print;
mod pushes;
mod rate;
mod registrations;
mod remote;
mod requests;
mod stored;
mod subscriptions;
#[cfg(test)]
mod tests;
mod uploads;

use std::net::IpAddr;

use arc_swap::ArcSwap;
use rustc_hash::FxHashSet;

pub use archives::archive_turns;
pub use budget::{About, Action, BudgetScope, Rule, Tally};
pub use client::{Client, Pause};
pub use connections::{Connections, Permit};
pub use failed_logins::{Guesses, TooMany};
pub use held::{Bounds, Held, Level};
pub use invitations::{Guesser, UnknownInvitations};
pub use open_files::{connections, raise_open_files};
pub use print::markdown;
pub use rate::{Pace, Paces, Rate, Share, Wait};
pub use registrations::Registrations;
pub use stored::Kept;
pub use subscriptions::ForOthers;
pub use uploads::UploadedBytes;

use crate::config::{BudgetsConfig, Config};
use crate::jid::BareJid;
use crate::metrics::Metrics;

/// All budgets, in alphabetical order: for the documents.
pub const ALL: &[&About] = &[
    &api::ABOUT,
    &archives::ABOUT,
    &bytestreams::TRAFFIC,
    &bytestreams::ABOUT,
    &connections::ABOUT,
    &exports::ABOUT,
    &failed_logins::ABOUT,
    &stored::KEPT,
    &memory::ABOUT,
    &pushes::ABOUT,
    &registrations::ABOUT,
    &remote::WAITING,
    &remote::BYTES,
    &remote::QUESTIONS,
    &remote::STANZAS,
    &remote::TRAFFIC,
    &requests::ABOUT,
    &stored::SERVICE,
    &subscriptions::ABOUT,
    &client::TRAFFIC,
    &invitations::ABOUT,
    &uploads::BYTES,
    &uploads::ABOUT,
    &stored::WAITING,
    &bytestreams::WAITING,
    &client::WORK,
];

/// The budgets of a server.
#[derive(Debug)]
pub struct Budgets {
    /// Programs that follow archives.
    pub api_streams: Level,
    /// Bytestreams that users have activated.
    pub bytestreams: Level,
    /// Connections.
    pub connections: Connections,
    /// Downloads of all data of an account.
    pub exports: Level,
    /// Failed logins.
    pub guesses: Guesses,
    /// What the storage keeps for an account.
    pub kept: Kept,
    /// Bytes held for clients.
    pub memory: Level,
    /// Devices to which notifications are on their way.
    pub pushes: Level,
    /// Accounts created by in-band registration.
    pub registrations: Registrations,
    /// Bytes that wait for other servers.
    pub remote: Level,
    /// Bytes of stanzas that wait for other servers, by domain.
    pub remote_bytes: Level,
    /// Questions to clients on other servers, by domain.
    pub remote_questions: Level,
    /// Stanzas that wait for other servers, by domain.
    pub remote_stanzas: Level,
    /// Bytes that other servers send, by domain.
    pub remote_traffic: Rate,
    /// Requests of the server that wait for an answer.
    pub requests: Level,
    /// Subscriptions to nodes that owners make for others.
    pub subscriptions_for_others: ForOthers,
    /// Invitations that do not exist.
    pub unknown_invitations: UnknownInvitations,
    /// Files that are being uploaded.
    pub uploads: Level,
    /// Bytes of files that are uploaded.
    pub uploaded_bytes: UploadedBytes,
    /// Connections to the proxy for bytestreams that wait.
    pub waiting_bytestreams: Level,
    bytestream_traffic: Rate,
    traffic: Rate,
    work: Rate,
    exempt: ArcSwap<FxHashSet<BareJid>>,
}

impl Budgets {
    /// The budgets with the limits of this configuration.
    #[must_use]
    pub fn new(config: &Config, metrics: &Metrics) -> Self {
        let this = Self {
            api_streams: Level::new(&api::ABOUT, metrics),
            bytestreams: Level::new(&bytestreams::ABOUT, metrics),
            connections: Connections::new(metrics),
            exports: Level::new(&exports::ABOUT, metrics),
            guesses: Guesses::new(metrics),
            kept: Kept::new(metrics),
            memory: Level::new(&memory::ABOUT, metrics),
            pushes: Level::new(&pushes::ABOUT, metrics),
            registrations: Registrations::new(metrics),
            remote: Level::new(&remote::WAITING, metrics),
            remote_bytes: Level::new(&remote::BYTES, metrics),
            remote_questions: Level::new(&remote::QUESTIONS, metrics),
            remote_stanzas: Level::new(&remote::STANZAS, metrics),
            remote_traffic: Rate::new(&remote::TRAFFIC, metrics),
            requests: Level::new(&requests::ABOUT, metrics),
            subscriptions_for_others: ForOthers::new(metrics),
            unknown_invitations: UnknownInvitations::new(metrics),
            uploads: Level::new(&uploads::ABOUT, metrics),
            uploaded_bytes: UploadedBytes::new(metrics),
            waiting_bytestreams: Level::new(&bytestreams::WAITING, metrics),
            bytestream_traffic: Rate::new(&bytestreams::TRAFFIC, metrics),
            traffic: Rate::new(&client::TRAFFIC, metrics),
            work: Rate::new(&client::WORK, metrics),
            exempt: ArcSwap::default(),
        };
        this.apply(config, usize::MAX);
        this
    }

    /// Applies the limits of another configuration. The number of connections never exceeds what
    /// `open_files` allows.
    #[expect(clippy::too_many_lines, reason = "some lines for each budget")]
    pub fn apply(&self, config: &Config, open_files: usize) {
        let (budgets, limits) = (&config.budgets, &config.limits);
        self.connections
            .set(connections(limits.connections, open_files), limits.connections_per_address);
        self.guesses.set(budgets.guesses_per_account, budgets.guesses_per_address);
        self.registrations.set(config.registration.per_address);
        self.unknown_invitations.set(budgets.unknown_invitations);
        self.subscriptions_for_others.set(config.pubsub.subscriptions_for_others);
        self.memory.set(Bounds {
            account: bound(budgets.memory_per_account),
            address: None,
            all: bound(budgets.memory),
        });
        self.api_streams.set(Bounds {
            account: bound(budgets.api_streams_per_account),
            address: None,
            all: bound(budgets.api_streams),
        });
        self.exports.set(Bounds { account: Some(1), address: None, all: bound(budgets.exports) });
        self.pushes.set(Bounds {
            account: bound(budgets.pushes_per_account),
            address: None,
            all: bound(budgets.pushes),
        });
        self.remote.set(Bounds {
            account: bound(budgets.remote_per_account),
            address: None,
            all: bound(budgets.remote),
        });
        let domain = |most: usize| Bounds { account: Some(most as u64), ..Bounds::default() };
        self.remote_stanzas.set(domain(config.s2s.queue_stanzas));
        self.remote_bytes.set(domain(config.s2s.queue_bytes));
        self.remote_questions.set(Bounds {
            account: bound(budgets.questions_per_domain),
            address: None,
            all: bound(budgets.questions),
        });
        self.remote_traffic
            .set(Paces { account: pace(budgets, budgets.traffic_per_domain), ..Paces::default() });
        self.requests.set(Bounds {
            account: bound(budgets.requests_per_account),
            address: None,
            all: bound(budgets.requests),
        });
        self.uploads.set(Bounds {
            account: None,
            address: bound(budgets.uploads_per_address),
            all: bound(budgets.uploads),
        });
        self.bytestreams.set(Bounds {
            account: bound(budgets.bytestreams_per_account),
            address: None,
            all: bound(budgets.bytestreams),
        });
        self.waiting_bytestreams.set(Bounds {
            account: None,
            address: bound(budgets.waiting_bytestreams_per_address),
            all: bound(budgets.waiting_bytestreams),
        });
        self.bytestream_traffic.set(Paces {
            session: None,
            account: pace(budgets, budgets.bytestream_traffic_per_account),
            address: pace(budgets, budgets.bytestream_traffic_per_address),
            all: pace(budgets, budgets.bytestream_traffic),
        });
        let paces = |per_account: usize, per_address: usize| Paces {
            session: pace(budgets, per_account).map(half),
            account: pace(budgets, per_account),
            address: pace(budgets, per_address),
            all: None,
        };
        self.traffic.set(paces(budgets.traffic_per_account, budgets.traffic_per_address));
        self.work.set(paces(budgets.work_per_account, budgets.work_per_address));
        self.exempt.store(std::sync::Arc::new(budgets.exempt.iter().cloned().collect()));
    }

    /// The shares of a client of this account at this address.
    #[must_use]
    pub fn client(&self, user: &BareJid, address: IpAddr) -> Client {
        if self.is_exempt(user) {
            return Client::exempt(&self.traffic, &self.work);
        }
        Client::new(&self.traffic, &self.work, user, address)
    }

    /// The share of a bytestream of this account, for the bytes that come from this address.
    #[must_use]
    pub fn bytestream(&self, user: &BareJid, address: IpAddr) -> Share {
        if self.is_exempt(user) {
            return self.bytestream_traffic.exempt();
        }
        self.bytestream_traffic.share(Some(user.as_str()), Some(address))
    }

    /// Whether the account has no limits of its own (`budgets.exempt`).
    #[must_use]
    pub fn is_exempt(&self, user: &BareJid) -> bool {
        self.exempt.load().contains(user)
    }
}

/// 0 means no limit.
fn bound(most: usize) -> Option<u64> {
    (most > 0).then_some(most as u64)
}

/// 0 means no limit.
fn pace(budgets: &BudgetsConfig, per_second: usize) -> Option<Pace> {
    (per_second > 0).then_some(Pace { per_second: per_second as f64, burst: budgets.burst })
}

/// Half of the pace: one session of an account leaves the other half to the others.
fn half(pace: Pace) -> Pace {
    Pace { per_second: pace.per_second / 2.0, ..pace }
}
