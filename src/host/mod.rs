//! The domains that are ours, what they share, and what a feature may see of it.

mod account_removal;
mod admins;
pub mod block_list;
mod cache;
pub mod command;
mod context;
mod destination;
mod discovery;
#[cfg(test)]
pub(crate) mod fixtures;
mod invalidation;
mod keeping;
pub mod lifecycle;
mod module;
mod origin;
mod registry;
mod requests;
mod roster_lock;
mod route;
mod service;
mod shared_state;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustc_hash::FxHashSet;

pub use account_removal::remove_account;
pub use admins::Admins;
pub use cache::{AccountCache, Read};
pub use context::{Cx, Halt, Outbox, not_stored};
pub use destination::{Destination, DomainError, Host, OurDomain};
pub use discovery::{Asked, Discovery};
pub use invalidation::Invalidation;
pub use keeping::{Keeping, Kept};
pub use module::{Manifest, Module, Status, Xep};
pub use origin::Origin;
pub use registry::{Access, Entry, IqHandler, IqReply, Registry, Scope};
pub use requests::{Answer, RequestError, Requests};
pub use roster_lock::{RosterLock, RosterLocks};
pub use route::Route;
pub use service::{Reply, Service, ServiceDomain, refuse_presence};
pub use shared_state::SharedState;

use destination::Domains;

use crate::auth::Derivations;
use crate::clock::Clock;
use crate::config::Config;
use crate::jid::Jid;
use crate::limit::Budgets;
use crate::metrics::Metrics;
use crate::session::SessionTable;
use crate::storage::{Storage, WireIds};
use crate::tasks::Tasks;

/// What all tasks of the server share: its domains, the store, the sessions, the limits. There is one, and
/// every task holds it.
pub struct ServerState {
    /// The configuration. A reload replaces it as a whole.
    pub config: ArcSwap<Config>,
    /// The store.
    pub storage: Arc<dyn Storage>,
    /// The sessions: who is online.
    pub sessions: Arc<SessionTable>,
    /// The registered features: who answers which request, and what is announced.
    pub registry: Registry,
    /// A cache of block lists (XEP-0191).
    pub blocked: AccountCache<Arc<FxHashSet<Jid>>>,
    /// A cache of accounts that exist.
    pub known: AccountCache<bool>,
    /// The accounts with the role of administrator.
    pub admins: Admins,
    /// Requests of the server that wait for an answer.
    pub requests: Requests,
    /// Encodes and decodes the message ids that clients see.
    pub message_ids: WireIds,
    /// The running server, as the administrator's commands see it.
    pub running: OnceLock<Arc<dyn command::ServerControl>>,
    /// The budgets of shared resources.
    pub budgets: Budgets,
    /// Derives keys from passwords, a few at a time.
    pub derivations: Derivations,
    /// The metrics.
    pub metrics: Metrics,
    /// The date and the time.
    pub clock: Clock,
    /// Starts tasks.
    pub tasks: Tasks,
    /// When the server was started.
    pub started: tokio::time::Instant,
    domains: Domains,
    router: &'static dyn Route,
}

/// The parts of which [`ServerState`] is made.
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// The store.
    pub storage: Arc<dyn Storage>,
    /// Encodes and decodes the message ids that clients see.
    pub message_ids: WireIds,
    /// The registered features.
    pub registry: Registry,
    /// The metrics.
    pub metrics: Metrics,
    /// The date.
    pub clock: Clock,
    /// Starts tasks.
    pub tasks: Tasks,
    /// The router, for stanzas that are sent without one in hand.
    pub router: &'static dyn Route,
}

impl ServerState {
    /// Puts the parts together.
    ///
    /// # Errors
    /// If a domain is invalid, or used twice.
    pub fn new(parts: Parts) -> Result<Self, DomainError> {
        let hosts: Vec<_> = parts.config.hosts.iter().map(|host| host.domain.as_str()).collect();
        let domains = Domains::new(&hosts, parts.registry.services())?;
        let budgets = Budgets::new(&parts.config, &parts.metrics);
        Ok(Self {
            derivations: Derivations::new(&parts.config.auth),
            running: OnceLock::new(),
            sessions: Arc::new(SessionTable::with_memory(budgets.memory.clone())),
            requests: Requests::new(budgets.requests.clone()),
            budgets,
            config: ArcSwap::from_pointee(parts.config),
            storage: parts.storage,
            registry: parts.registry,
            blocked: AccountCache::new(BLOCKED_BYTES),
            known: AccountCache::new(KNOWN_BYTES),
            admins: Admins::default(),
            message_ids: parts.message_ids,
            metrics: parts.metrics,
            clock: parts.clock,
            tasks: parts.tasks,
            started: tokio::time::Instant::now(),
            domains,
            router: parts.router,
        })
    }

    /// What this domain is, if it is ours.
    #[must_use]
    pub fn ours(&self, domain: &str) -> Option<OurDomain<'_>> {
        self.domains.find(domain)
    }

    /// The host with this domain. Only a host has accounts: `None` for the domain of a service.
    #[must_use]
    pub fn host(&self, domain: &str) -> Option<&Host> {
        match self.ours(domain)? {
            OurDomain::Host(host) => Some(host),
            OurDomain::Service(_) => None,
        }
    }

    /// All hosts, in the order of the configuration. There is at least one.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        self.domains.hosts()
    }

    /// The domains of all services, host by host.
    #[must_use]
    pub fn services(&self) -> &[ServiceDomain] {
        self.domains.services()
    }

    /// The destination of an address.
    #[must_use]
    pub fn destination(&self, to: &Jid) -> Destination<'_> {
        self.domains.destination(to)
    }

    /// How long the server has run.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Bytes of block lists held in memory.
const BLOCKED_BYTES: usize = 16 << 20;
/// Bytes of addresses of accounts held in memory.
const KNOWN_BYTES: usize = 16 << 20;

#[cfg(test)]
impl ServerState {
    /// Serves these domains from memory.
    pub(crate) fn for_tests(domains: &[&str], registry: Registry) -> Self {
        struct Nowhere;

        #[async_trait::async_trait]
        impl Route for Nowhere {
            async fn route(&self, _: &ServerState, _: crate::stanza::Stanza) {}
        }

        let hosts: Vec<_> =
            domains.iter().map(|domain| format!("[[host]]\ndomain = \"{domain}\"\n")).collect();
        Self::new(Parts {
            config: Config::parse(&hosts.concat(), "the test").expect("a domain is configured"),
            storage: crate::storage::MemoryStorage::new(),
            message_ids: WireIds::new(&[1; 32]),
            registry,
            metrics: Metrics::new(),
            clock: Clock::manual(crate::payload::datetime::Timestamp::from_micros(0)),
            tasks: Tasks::new(),
            router: &Nowhere,
        })
        .expect("the domains are good")
    }
}
