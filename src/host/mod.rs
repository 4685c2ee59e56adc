//! The served domains, what they share, and what a feature may see of it.

mod admins;
pub mod block_list;
mod cache;
pub mod command;
mod context;
mod registry;
mod roster_lock;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustc_hash::FxHashSet;
use smol_str::SmolStr;

pub use admins::Admins;
pub use cache::{AccountCache, Read};
pub use context::{Cx, Halt, Keeping, Origin, Outbox, not_stored};
pub use registry::{Identity, IqHandler, IqReply, Manifest, Module, Registry, Scope, Status, Xep};
pub use roster_lock::{RosterLock, RosterLocks};

use crate::auth::Derivations;
use crate::clock::Clock;
use crate::config::Config;
use crate::jid::{BareJid, Jid, JidError};
use crate::limit::Budgets;
use crate::metrics::Metrics;
use crate::payload::archive_preferences::Preferences;
use crate::session::SessionTable;
use crate::storage::{Storage, WireIds};
use crate::tasks::Tasks;

/// The served domains and all they share. One a server; everybody holds it.
pub struct Hosts {
    /// The configuration; replaced as a whole by a reload.
    pub config: ArcSwap<Config>,
    /// Everything that is kept.
    pub storage: Arc<dyn Storage>,
    /// Who is online.
    pub sessions: Arc<SessionTable>,
    /// Who answers which request, and what is announced.
    pub registry: Registry,
    /// Whom accounts have blocked (XEP-0191), as far as it was asked for lately.
    pub blocked: AccountCache<Arc<FxHashSet<Jid>>>,
    /// Whose messages accounts want in their archives (XEP-0441), likewise.
    pub preferences: AccountCache<Arc<Preferences>>,
    /// Accounts that there are, likewise.
    pub known: AccountCache<bool>,
    /// The administrators among the accounts, by their role.
    pub admins: Admins,
    /// Who changes a roster, or tells clients of it, locks it.
    pub rosters: RosterLocks,
    /// Writes and reads numbers of messages as clients see them.
    pub message_ids: WireIds,
    /// The life of the running server, as commands see it.
    pub running: OnceLock<Arc<dyn command::ServerControl>>,
    /// What many share, and how much of it one of them may have.
    pub budgets: Budgets,
    /// Derives keys from passwords, a few at a time.
    pub derivations: Derivations,
    /// What is counted.
    pub metrics: Metrics,
    /// The date.
    pub clock: Clock,
    /// Where tasks are started.
    pub tasks: Tasks,
    /// Since when the server runs.
    pub started: tokio::time::Instant,
    domains: Vec<Host>,
}

/// A served domain.
#[derive(Clone, Debug)]
pub struct Host {
    /// The domain, prepared.
    pub domain: SmolStr,
    /// The same as an address.
    pub jid: Jid,
}

/// What is served with what; see [`Hosts`].
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// Everything that is kept.
    pub storage: Arc<dyn Storage>,
    /// Writes and reads numbers of messages as clients see them.
    pub message_ids: WireIds,
    /// Who answers which request.
    pub registry: Registry,
    /// What is counted.
    pub metrics: Metrics,
    /// The date.
    pub clock: Clock,
    /// Where tasks are started.
    pub tasks: Tasks,
}

impl Hosts {
    /// Puts the parts together.
    ///
    /// # Errors
    /// If a configured domain is none.
    pub fn new(parts: Parts) -> Result<Self, JidError> {
        let domains = parts
            .config
            .hosts
            .iter()
            .map(|host| {
                let jid = Jid::parse(&host.domain)?;
                Ok(Host { domain: SmolStr::new(jid.domain()), jid })
            })
            .collect::<Result<_, _>>()?;
        let budgets = Budgets::new(&parts.config, &parts.metrics);
        Ok(Self {
            derivations: Derivations::new(&parts.config.auth),
            running: OnceLock::new(),
            sessions: Arc::new(SessionTable::with_memory(budgets.memory.clone())),
            budgets,
            config: ArcSwap::from_pointee(parts.config),
            storage: parts.storage,
            registry: parts.registry,
            blocked: AccountCache::new(BLOCKED_BYTES),
            preferences: AccountCache::new(PREFERENCES_BYTES),
            known: AccountCache::new(KNOWN_BYTES),
            admins: Admins::default(),
            rosters: RosterLocks::default(),
            message_ids: parts.message_ids,
            metrics: parts.metrics,
            clock: parts.clock,
            tasks: parts.tasks,
            started: tokio::time::Instant::now(),
            domains,
        })
    }

    /// The served domain with this name.
    #[must_use]
    pub fn get(&self, domain: &str) -> Option<&Host> {
        self.domains.iter().find(|host| host.domain == domain)
    }

    /// All served domains, in the order of the configuration; there is at least one.
    #[must_use]
    pub fn all(&self) -> &[Host] {
        &self.domains
    }

    /// An account was made or removed: what is remembered of this address may not be true any more.
    pub fn forget_account(&self, user: &BareJid) {
        self.blocked.forget(user);
        self.preferences.forget(user);
        self.known.forget(user);
        self.admins.forget(user);
    }

    /// How long the server has been running.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Bytes of block lists held in memory.
const BLOCKED_BYTES: usize = 16 << 20;
/// Bytes of preferences held in memory.
const PREFERENCES_BYTES: usize = 16 << 20;
/// Bytes of addresses of accounts held in memory.
const KNOWN_BYTES: usize = 16 << 20;
