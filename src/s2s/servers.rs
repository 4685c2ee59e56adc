//! All links to other servers, and what they share.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;

use super::attempts::Turns;
use super::backoff::Remotes;
use super::counters::Counters;
use super::exceptions::Exceptions;
use super::key::DialbackKey;
use super::link::Link;
use super::network::Network;
use super::pair::Pair;
use super::posh::known::Known;
use super::rules::Rules;
use super::streams::Streams;
use crate::host::{Host, OurDomain, ServerState};
use crate::router::Router;
use crate::storage;
use crate::stream::connection::Connection;
use crate::tls::Certificates;

/// All links to other servers.
pub struct Servers {
    pub(super) router: Arc<Router>,
    pub(super) certificates: Arc<Certificates>,
    pub(super) network: Network,
    pub(super) key: DialbackKey,
    pub(super) remotes: Remotes,
    /// One for each attempt to reach a server.
    pub(super) attempts: Turns,
    /// One for each key that is being verified.
    pub(super) verifications: Turns,
    /// The streams that other servers have opened.
    pub(super) streams: Streams,
    /// How many stanzas of these streams were handled.
    pub(super) counters: Counters,
    /// What web sites say of certificates.
    pub(super) posh: Known,
    ours: Arc<FxHashSet<SmolStr>>,
    /// What administrators have allowed and denied by commands.
    pub(super) exceptions: Exceptions,
    own_addresses: OnceLock<Vec<SocketAddr>>,
    pub(super) links: Mutex<FxHashMap<Pair, Arc<Link>>>,
    pub(super) own: Weak<Self>,
}

impl Servers {
    /// No links yet. `secret`: that of the server, from which keys for dialback are made.
    #[must_use]
    pub fn new(
        router: Arc<Router>,
        certificates: Arc<Certificates>,
        network: Network,
        secret: &[u8; 32],
    ) -> Arc<Self> {
        let server = &router.server;
        let hosts = server.hosts().iter().map(|host| host.domain.clone());
        let services = server.services().iter().map(|service| service.domain.clone());
        let ours = Arc::new(hosts.chain(services).collect());
        Arc::new_cyclic(|own| Self {
            router,
            certificates,
            network,
            key: DialbackKey::new(secret),
            remotes: Remotes::default(),
            attempts: Turns::new(ATTEMPTS),
            verifications: Turns::new(VERIFICATIONS),
            streams: Streams::default(),
            counters: Counters::default(),
            posh: Known::default(),
            ours,
            exceptions: Exceptions::default(),
            own_addresses: OnceLock::new(),
            links: Mutex::default(),
            own: own.clone(),
        })
    }

    /// Reads which domains administrators have allowed and denied. Called before the first connection.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn read_exceptions(&self) -> storage::Result<()> {
        self.exceptions.read(self.server()).await
    }

    /// Sets the addresses at which this server listens for others: it never connects to them.
    pub fn set_own_addresses(&self, addresses: Vec<SocketAddr>) {
        drop(self.own_addresses.set(addresses));
    }

    pub(super) fn own_addresses(&self) -> &[SocketAddr] {
        self.own_addresses.get().map_or(&[], Vec::as_slice)
    }

    pub(super) fn server(&self) -> &Arc<ServerState> {
        &self.router.server
    }

    /// The rules of this moment.
    pub(super) fn rules(&self) -> Rules {
        let config = self.server().config.load_full();
        let is_dns_signed = self.network.resolver.has_keys();
        Rules::new(Arc::clone(&self.ours), config, self.exceptions.all(), is_dns_signed)
    }

    /// The host to which a domain of ours belongs: its certificate stands for both.
    pub(super) fn host_of<'a>(&'a self, domain: &'a str) -> &'a str {
        match self.server().ours(domain) {
            Some(OurDomain::Service(service)) => &service.host.domain,
            Some(OurDomain::Host(_)) => domain,
            // A component is usually below a host.
            None => {
                let is_below = |host: &&Host| {
                    domain.strip_suffix(&*host.domain).is_some_and(|rest| rest.ends_with('.'))
                };
                let hosts = self.server().hosts().iter().filter(is_below);
                hosts.max_by_key(|host| host.domain.len()).map_or(domain, |host| &host.domain)
            }
        }
    }

    /// Closes a stream in good order, in a separate task.
    pub(super) fn close_later(&self, connection: Connection, local: &str) {
        let local = local.to_owned();
        let work = async move { connection.close(None, &local).await };
        drop(self.server().tasks.spawn("farewell", work));
    }

    /// All links, open or not.
    pub(super) fn all_links(&self) -> Vec<Arc<Link>> {
        self.links.lock().values().cloned().collect()
    }

    /// Makes a link for a peer that takes our stanzas for this pair on its own stream (XEP-0288), unless there is one.
    pub(super) fn adopt(&self, pair: &Pair, peer: SocketAddr) -> Option<Arc<Link>> {
        let mut links = self.links.lock();
        if links.get(pair).is_some_and(|link| !link.is_closed()) || links.len() >= LINKS {
            return None;
        }
        let link = Arc::new(Link::new(pair.clone(), None, &self.server().budgets));
        link.set_opened(Some(peer));
        links.insert(pair.clone(), Arc::clone(&link));
        Some(link)
    }

    /// Forgets a link that has ended.
    pub(super) fn remove(&self, link: &Arc<Link>) {
        let mut links = self.links.lock();
        if links.get(&link.pair).is_some_and(|own| Arc::ptr_eq(own, link)) {
            links.remove(&link.pair);
        }
    }

    /// The link of this pair, if there is one that takes stanzas.
    pub(super) fn find(&self, pair: &Pair) -> Option<Arc<Link>> {
        self.links.lock().get(pair).filter(|link| !link.is_closed()).cloned()
    }
}

/// Attempts to reach servers at the same time.
const ATTEMPTS: usize = 128;
/// Keys that are verified at the same time.
const VERIFICATIONS: usize = 64;
/// Links, open or not.
pub(super) const LINKS: usize = 50_000;
