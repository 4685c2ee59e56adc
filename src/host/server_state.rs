//! What all tasks of the server share. It knows no feature, no handler and no router: they stand above it.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::command::ServerControl;
use super::destination::{Destination, DomainError, Domains, Host, OurDomain, ServiceDomain};
use super::shared_state::{SharedState, SharedStates};
use super::{
    AccountCache, Admins, Answer, CountsFor, Invalidation, RemoteServers, RequestError, Requests,
    Route,
};
use crate::auth::Derivations;
use crate::clock::Clock;
use crate::config::Config;
use crate::jid::Jid;
use crate::limit::Budgets;
use crate::metrics::Metrics;
use crate::session::SessionTable;
use crate::stanza::{Content, IqKind, Stanza};
use crate::storage::{self, Storage, StorageError, WireIds};
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
    /// A cache of accounts that exist. It belongs to no feature: the router asks for each message.
    pub known: AccountCache<bool>,
    /// The accounts with the role of administrator. They belong to no feature: the router asks for them, and
    /// features announce different things to them.
    pub admins: Admins,
    /// Requests of the server that wait for an answer. All share them: one task asks, another one reads the
    /// answer, and a third one ends the session that was asked.
    pub requests: Requests,
    /// Encodes and decodes the message ids that clients see. All share them: archives, offline delivery and
    /// the log must name a message alike.
    pub message_ids: WireIds,
    /// The running server, as the administrator's commands see it.
    pub running: OnceLock<Arc<dyn ServerControl>>,
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
    /// Held for reading while a message of a room has a number and is not yet given to the sessions of all
    /// occupants; for writing while a session that is saved asks for the newest number.
    pub room_deliveries: tokio::sync::RwLock<()>,
    /// When the server was started.
    pub started: tokio::time::Instant,
    domains: Domains,
    shared: SharedStates,
    /// The router, which stands above all this.
    route: OnceLock<Weak<dyn Route>>,
    /// What takes stanzas to other servers, which stands above the router.
    remote: OnceLock<Weak<dyn RemoteServers>>,
}

/// The parts of which [`ServerState`] is made.
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// The store.
    pub storage: Arc<dyn Storage>,
    /// Encodes and decodes the message ids that clients see.
    pub message_ids: WireIds,
    /// The metrics.
    pub metrics: Metrics,
    /// The date.
    pub clock: Clock,
    /// Starts tasks.
    pub tasks: Tasks,
}

impl ServerState {
    /// Puts the parts together. `services` are the prefixes of all services, in the order of the registry;
    /// `shared` is what features keep in memory.
    ///
    /// # Errors
    /// If a domain is invalid, or used twice.
    pub fn new(parts: Parts, services: &[&str], shared: SharedStates) -> Result<Self, DomainError> {
        let hosts: Vec<_> = parts.config.hosts.iter().map(|host| host.domain.as_str()).collect();
        let domains = Domains::new(&hosts, services)?;
        let budgets = Budgets::new(&parts.config, &parts.metrics);
        Ok(Self {
            derivations: Derivations::new(&parts.config.auth),
            running: OnceLock::new(),
            sessions: Arc::new(SessionTable::with_memory(budgets.memory.clone())),
            requests: Requests::new(budgets.requests.clone()),
            budgets,
            config: ArcSwap::from_pointee(parts.config),
            storage: parts.storage,
            known: AccountCache::new(KNOWN_BYTES),
            admins: Admins::default(),
            message_ids: parts.message_ids,
            metrics: parts.metrics,
            clock: parts.clock,
            tasks: parts.tasks,
            room_deliveries: tokio::sync::RwLock::default(),
            started: tokio::time::Instant::now(),
            domains,
            shared,
            route: OnceLock::new(),
            remote: OnceLock::new(),
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

    /// The state that a feature keeps in memory for all sessions.
    ///
    /// # Panics
    /// If no registered feature has it.
    #[must_use]
    pub fn shared<T: SharedState>(&self) -> &T {
        self.shared.expect()
    }

    /// The same, of a feature that may not be there.
    #[must_use]
    pub fn find_shared<T: SharedState>(&self) -> Option<&T> {
        self.shared.get()
    }

    /// The router, for tasks that features start while they handle a stanza: it sends stanzas and tells
    /// events. `None` while the server starts, and when it has ended.
    #[must_use]
    pub fn route(&self) -> Option<Arc<dyn Route>> {
        self.route.get()?.upgrade()
    }

    /// Makes the router known. Called once, at the start.
    pub fn set_route(&self, route: &Arc<dyn Route>) {
        drop(self.route.set(Arc::downgrade(route)));
    }

    /// What takes stanzas to other servers. `None` if there are none to talk to.
    #[must_use]
    pub fn remote_servers(&self) -> Option<Arc<dyn RemoteServers>> {
        self.remote.get()?.upgrade()
    }

    /// Makes known what takes stanzas to other servers. Called once, at the start.
    pub fn set_remote_servers(&self, remote: &Arc<dyn RemoteServers>) {
        drop(self.remote.set(Arc::downgrade(remote)));
    }

    /// Forgets what is held in memory of something that has changed. To be called when the store has the
    /// new value; a value that is being read meanwhile is not held either (`host/cache.rs`).
    pub fn invalidate(&self, what: &Invalidation) {
        match what {
            Invalidation::Account(user) => {
                self.known.forget(user);
                self.admins.forget_if_known(user);
            }
            Invalidation::Admins => self.admins.forget(),
            Invalidation::ArchivePreferences(_)
            | Invalidation::BlockList(_)
            | Invalidation::Bookmarks(_)
            | Invalidation::LastActivity(_)
            | Invalidation::Nodes(_)
            | Invalidation::Card(_)
            | Invalidation::Roster(_)
            | Invalidation::Push(_)
            | Invalidation::Strangers(_)
            | Invalidation::WrittenTo { .. } => {}
        }
        self.shared.invalidate(what);
    }

    /// Makes a request, a `get` or a `set`, and what waits for its answer. The caller sends the request.
    /// `from` must be an address of a host or service of ours that is no session: there the answer is
    /// read.
    ///
    /// # Errors
    /// [`RequestError::TooMany`].
    pub fn request(
        &self,
        from: Jid,
        to: Jid,
        kind: IqKind,
        content: impl Into<Content>,
    ) -> Result<(Stanza, Answer), RequestError> {
        self.request_for(CountsFor::Asked, from, to, kind, content)
    }

    /// The same, if it does not count for the account that is asked.
    ///
    /// # Errors
    /// [`RequestError::TooMany`].
    pub fn request_for(
        &self,
        counts: CountsFor<'_>,
        from: Jid,
        to: Jid,
        kind: IqKind,
        content: impl Into<Content>,
    ) -> Result<(Stanza, Answer), RequestError> {
        let session = to.to_full().and_then(|full| self.sessions.find(&full));
        self.requests.begin(from, to, session, (kind, content.into()), counts)
    }

    /// Counts refusals of the store because an account stores too much.
    pub fn count_refusal(&self, error: &StorageError) {
        match error {
            StorageError::Limit(storage::OFFLINE_MESSAGES) => self.budgets.kept.refused_to_wait(),
            StorageError::Limit(storage::PUBSUB_SHARE) => self.budgets.kept.refused_share(),
            StorageError::Quota => self.budgets.kept.refused_bytes(),
            _ => {}
        }
    }
}

/// Bytes of addresses of accounts held in memory.
const KNOWN_BYTES: usize = 16 << 20;

#[cfg(test)]
impl Parts {
    /// The parts of a server that serves these domains from memory.
    pub(crate) fn for_tests(domains: &[&str]) -> Self {
        let hosts: Vec<_> =
            domains.iter().map(|domain| format!("[[host]]\ndomain = \"{domain}\"\n")).collect();
        Self {
            config: Config::parse(&hosts.concat(), "the test").expect("a domain is configured"),
            storage: storage::MemoryStorage::new(),
            message_ids: WireIds::new(&[1; 32]),
            metrics: Metrics::new(),
            clock: Clock::manual(crate::payload::datetime::Timestamp::from_micros(0)),
            tasks: Tasks::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::jid::BareJid;

    #[derive(Default)]
    struct Forgets(AtomicUsize);

    impl SharedState for Forgets {
        fn invalidate(&self, what: &Invalidation) {
            let is_account = matches!(what, Invalidation::Account(_));
            self.0.fetch_add(usize::from(is_account), Ordering::Relaxed);
        }
    }

    #[test]
    fn a_feature_finds_its_own_value_and_is_told_of_changes() {
        let mut shared = SharedStates::default();
        shared.add(Forgets::default());
        let server = ServerState::new(Parts::for_tests(&["a.example"]), &[], shared).unwrap();
        let user = BareJid::parse("romeo@a.example").unwrap();
        server.invalidate(&Invalidation::BlockList(user.clone()));
        assert_eq!(server.shared::<Forgets>().0.load(Ordering::Relaxed), 0);
        server.invalidate(&Invalidation::Account(user));
        assert_eq!(server.shared::<Forgets>().0.load(Ordering::Relaxed), 1);
    }
}
