//! The server as a whole: fits the parts together, listens, reloads, ends in good order.

mod bind;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use serde_json::{Value, json};

pub use bind::Refused;

use crate::admin::commands::COMMANDS;
use crate::auth::Verifier;
use crate::c2s::{C2s, ListenerKind};
use crate::clock::Clock;
use crate::config::{Config, ListenConfig, Pending};
use crate::host::command::{ServerControl, SessionRow};
use crate::host::{DomainError, Hosts, Parts};
use crate::jid::{BareJid, FullJid, Jid};
use crate::limit::raise_open_files;
use crate::metrics::Metrics;
use crate::modules::{self, mam};
use crate::roster::contact_removal::farewell;
use crate::router::Router;
use crate::session::CloseReason;
use crate::stanza::Stanza;
use crate::storage::{RosterItem, Storage, StorageError, WireIds};
use crate::stream::wire::Io;
use crate::tasks::Tasks;
use crate::tls::{CertificateFacts, Certificates, TlsError};

/// A running server. Cheap to clone; it ends with its [`Tasks`].
#[derive(Clone)]
pub struct Server {
    c2s: Arc<C2s>,
    addresses: Arc<Vec<(ListenerKind, SocketAddr)>>,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Ports cannot be had: all of them.
    #[error("{}", lines(.0))]
    Listen(Vec<Refused>),
    /// The domains cannot be served.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The ports that cannot be had now. Opens all of them for a moment.
#[must_use]
pub fn refused_ports(listen: &ListenConfig) -> Vec<Refused> {
    bind::bind(listen).err().unwrap_or_default()
}

impl Server {
    /// Puts the parts together and listens where the configuration says.
    ///
    /// # Errors
    /// If a certificate cannot be used or a port cannot be had. Nothing is listening then.
    pub async fn start(
        config: Config,
        storage: Arc<dyn Storage>,
        clock: Clock,
        tasks: Tasks,
    ) -> Result<Self, StartError> {
        let listeners = bind::bind(&config.listen).map_err(StartError::Listen)?;
        let certificates = Certificates::load(&config, &clock)?;
        let mut registry = modules::registry(&config);
        registry.enter_commands(COMMANDS);
        let message_ids = WireIds::new(&storage.accounts().secret().await?);
        let metrics = Metrics::new();
        storage.measure(&metrics);
        let router = &Router;
        let parts = Parts { config, storage, message_ids, registry, metrics, clock, tasks, router };
        let hosts = Arc::new(Hosts::new(parts)?);
        let verifier = verifier(&hosts).await?;
        let c2s = Arc::new(C2s { hosts, verifier: Arc::new(verifier), certificates });
        c2s.hosts.budgets.apply(&c2s.hosts.config.load(), raise_open_files());
        keep_to_quota(c2s.hosts.storage.as_ref(), &c2s.hosts.config.load());
        c2s.hosts.admins.load(&*c2s.hosts.storage).await?;
        c2s.restore().await?;
        drop(c2s.hosts.tasks.spawn("goodbye", Arc::clone(&c2s).say_goodbye()));
        drop(c2s.hosts.tasks.spawn("memory", Arc::clone(&c2s).watch_memory()));
        let mut addresses = Vec::new();
        for (entry, listener) in listeners {
            if let Ok(address) = listener.local_addr() {
                tracing::debug!(%address, entry = ?entry, "listening for clients");
                addresses.push((entry, address));
            }
            let task = Arc::clone(&c2s).listen(listener, entry);
            drop(c2s.hosts.tasks.spawn("listener", task));
        }
        let server = Self { c2s, addresses: Arc::new(addresses) };
        let (c2s, addresses) = (Arc::downgrade(&server.c2s), Arc::clone(&server.addresses));
        drop(server.hosts().running.set(Arc::new(WeakServer { c2s, addresses })));
        server.watch_certificates();
        let expiry = mam::expiry::run(Arc::clone(server.hosts()));
        drop(server.hosts().tasks.spawn("archive-expiry", expiry));
        Ok(server)
    }

    /// Where it listens, in the order of the configuration.
    #[must_use]
    pub fn addresses(&self) -> &[(ListenerKind, SocketAddr)] {
        &self.addresses
    }

    /// What there is to know about the certificates in use.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateFacts> {
        self.c2s.certificates.facts()
    }

    /// The served domains and all they share.
    #[must_use]
    pub fn hosts(&self) -> &Arc<Hosts> {
        &self.c2s.hosts
    }

    /// Serves a client on any connection; for tests, which need no socket.
    pub fn connect(&self, io: Box<dyn Io>, entry: ListenerKind) {
        self.connect_from(io, SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), entry);
    }

    /// The same, of a client at this address.
    pub fn connect_from(&self, io: Box<dyn Io>, peer: SocketAddr, entry: ListenerKind) {
        let task = Arc::clone(&self.c2s).serve(io, peer, entry, None);
        drop(self.c2s.hosts.tasks.spawn("c2s", task));
    }

    /// Applies a new configuration and reads the certificates anew. What cannot be applied while
    /// running is logged and stays as it is.
    ///
    /// # Errors
    /// If a certificate cannot be used: everything stays as it was.
    pub fn reload(&self, config: Config) -> Result<Arc<Config>, TlsError> {
        let hosts = &self.c2s.hosts;
        let (config, pending) = config.reloaded(&hosts.config.load());
        self.c2s.certificates.reload(&config, &hosts.clock)?;
        for change in &pending {
            note_pending(change);
        }
        self.c2s.verifier.refresh(&config.auth);
        hosts.budgets.apply(&config, raise_open_files());
        keep_to_quota(hosts.storage.as_ref(), &config);
        let config = Arc::new(config);
        hosts.config.store(Arc::clone(&config));
        self.note_certificates();
        tracing::info!("configuration applied");
        Ok(config)
    }

    /// Certificates end silently; their operators want to know before (once a day).
    fn watch_certificates(&self) {
        self.note_certificates();
        let this = self.clone();
        let stopping = self.c2s.hosts.tasks.stopping();
        let task = async move {
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(DAY) => {
                        this.c2s.certificates.warn_of_expiry(&this.c2s.hosts.clock);
                    }
                }
            }
        };
        drop(self.c2s.hosts.tasks.spawn("certificates", task));
    }

    fn note_certificates(&self) {
        let facts = self.c2s.certificates.facts();
        let ends: Vec<_> = facts.iter().map(|f| (f.domain.as_str(), f.not_after)).collect();
        self.c2s.hosts.metrics.set_certificates(&ends);
    }
}

fn keep_to_quota(storage: &dyn Storage, config: &Config) {
    storage.usage().set_default_quota(config.limits.account_bytes as u64);
}

/// What the administrator's commands see of it.
#[async_trait]
impl ServerControl for Server {
    fn sessions(&self) -> Vec<SessionRow> {
        let mut rows: Vec<_> = self.hosts().sessions.all().iter().map(SessionRow::of).collect();
        rows.sort_by(|a, b| a.jid.cmp(&b.jid));
        rows
    }

    async fn close(&self, jid: &Jid, reason: Option<&str>) -> usize {
        let sessions = self.hosts().sessions.of(&jid.to_bare());
        let meant = sessions.iter().filter(|s| !jid.is_full() || **s.jid() == *jid);
        // The account may have been removed: what we know of it is not true any more.
        self.hosts().forget_account(&jid.to_bare());
        let why = CloseReason::Kicked(reason.map(Into::into));
        meant.map(|session| session.close(why.clone())).count()
    }

    async fn removed(&self, user: &BareJid, roster: &[RosterItem]) {
        let hosts = self.hosts();
        let sessions = hosts.sessions.of(user);
        let available = sessions.iter().filter(|session| session.available().is_some());
        let available: Vec<FullJid> = available.map(|session| session.jid().clone()).collect();
        for presence in roster.iter().flat_map(|item| farewell(user, &available, item)) {
            hosts.route(Stanza::Presence(presence)).await;
        }
    }

    async fn admins_changed(&self) -> Result<(), StorageError> {
        self.hosts().admins.load(&*self.hosts().storage).await
    }

    fn status(&self) -> Vec<(&'static str, Value)> {
        let hosts = self.hosts();
        let domains: Vec<_> = hosts.all().iter().map(|h| h.domain.as_str()).collect();
        let listening = |wanted| -> Vec<String> {
            let of = self.addresses.iter().filter(|(entry, _)| *entry == wanted);
            of.map(|(_, address)| address.to_string()).collect()
        };
        vec![
            ("version", json!(env!("CARGO_PKG_VERSION"))),
            ("domains", json!(domains)),
            ("uptime_seconds", json!(hosts.uptime().as_secs())),
            ("starttls", json!(listening(ListenerKind::StartTls))),
            ("direct_tls", json!(listening(ListenerKind::Direct))),
            ("http", json!(listening(ListenerKind::Http))),
            ("https", json!(listening(ListenerKind::Https))),
            ("connections", json!(hosts.metrics.connections.get())),
            ("sessions", json!(hosts.sessions.count())),
            ("messages_in", json!(hosts.metrics.stanzas_in.message.get())),
            ("messages_out", json!(hosts.metrics.stanzas_out.message.get())),
            ("panics", json!(hosts.metrics.panics.get())),
        ]
    }
}

/// A server as seen by itself, so that it does not keep itself alive.
struct WeakServer {
    c2s: Weak<C2s>,
    addresses: Arc<Vec<(ListenerKind, SocketAddr)>>,
}

impl WeakServer {
    fn server(&self) -> Option<Server> {
        Some(Server { c2s: self.c2s.upgrade()?, addresses: Arc::clone(&self.addresses) })
    }
}

#[async_trait]
impl ServerControl for WeakServer {
    fn sessions(&self) -> Vec<SessionRow> {
        self.server().map_or_else(Vec::new, |server| server.sessions())
    }

    async fn close(&self, jid: &Jid, reason: Option<&str>) -> usize {
        match self.server() {
            Some(server) => server.close(jid, reason).await,
            None => 0,
        }
    }

    async fn removed(&self, user: &BareJid, roster: &[RosterItem]) {
        if let Some(server) = self.server() {
            server.removed(user, roster).await;
        }
    }

    async fn admins_changed(&self) -> Result<(), StorageError> {
        match self.server() {
            Some(server) => server.admins_changed().await,
            None => Ok(()),
        }
    }

    fn status(&self) -> Vec<(&'static str, Value)> {
        self.server().map_or_else(Vec::new, |server| server.status())
    }
}

/// Who checks logins. Derives keys within the same bound as all others.
async fn verifier(hosts: &Hosts) -> Result<Verifier, StorageError> {
    let (storage, clock) = (Arc::clone(&hosts.storage), hosts.clock.clone());
    let config = hosts.config.load_full();
    let verifier = Verifier::new(storage, &config.auth, hosts.derivations.clone(), clock);
    Ok(verifier.await?.with_tasks(hosts.tasks.clone()))
}

/// Tells of a change that is in the file and not applied.
fn note_pending(change: &Pending) {
    match change {
        Pending::Added(host) => tracing::warn!(%host, "this domain is served only after a restart"),
        Pending::Order => tracing::warn!("the order of the domains changes only at a restart"),
        Pending::Option(option) => tracing::warn!(option, "this option changes only at a restart"),
        Pending::Removed(host) => {
            tracing::warn!(%host, "this domain is no longer configured, and is served until a restart");
        }
    }
}

fn lines(refused: &[Refused]) -> String {
    refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
