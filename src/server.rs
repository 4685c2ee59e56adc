//! The server as a whole: it puts the parts together, listens, reloads, and ends in good order.

mod listeners;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use serde_json::{Value, json};

pub use listeners::{LISTENERS, Listener, Services};

use crate::admin::commands::COMMANDS;
use crate::auth::{self, Verifier};
use crate::c2s::{self, C2s};
use crate::clock::Clock;
use crate::config::{Config, ListenConfig, Pending};
use crate::host::command::{ServerControl, SessionRow};
use crate::host::{DomainError, Module, Parts, Registry, ServerState};
use crate::jid::{BareJid, Jid};
use crate::limit::raise_open_files;
use crate::listen::{self, Acceptor, Refused};
use crate::metrics::Metrics;
use crate::modules::{self, mam};
use crate::router::{self, Router};
use crate::session::CloseReason;
use crate::storage::{Storage, StorageError, WireIds};
use crate::stream::wire::Io;
use crate::tasks::Tasks;
use crate::tls::{CertificateFacts, Certificates, TlsError};

/// A running server. Cheap to clone; it ends with its [`Tasks`].
#[derive(Clone)]
pub struct Server {
    acceptor: Arc<Acceptor<Services>>,
    addresses: Addresses,
}

/// Where the server listens.
type Addresses = Arc<Vec<(&'static Listener, SocketAddr)>>;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// All the ports on which it cannot listen.
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

/// The ports on which one cannot listen now. Opens all ports for a moment.
#[must_use]
pub fn refused_ports(listen: &ListenConfig) -> Vec<Refused> {
    listen::bind(&LISTENERS, listen).err().unwrap_or_default()
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
        Self::start_with(modules::ALL, config, storage, clock, tasks).await
    }

    /// The same with these features; for tests, which bring some of their own.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_with(
        features: &[&dyn Module],
        config: Config,
        storage: Arc<dyn Storage>,
        clock: Clock,
        tasks: Tasks,
    ) -> Result<Self, StartError> {
        let sockets = listen::bind(&LISTENERS, &config.listen).map_err(StartError::Listen)?;
        let certificates = Certificates::load(&config, &clock)?;
        let mut registry = Registry::of(features, &config);
        registry.enter_commands(COMMANDS);
        let message_ids = WireIds::new(&storage.accounts().secret().await?);
        let metrics = Metrics::new();
        storage.measure(&metrics);
        let router = &Router;
        let parts = Parts { config, storage, message_ids, registry, metrics, clock, tasks, router };
        let state = Arc::new(ServerState::new(parts)?);
        let verifier = verifier(&state).await?;
        state.budgets.apply(&state.config.load(), raise_open_files());
        keep_to_quota(state.storage.as_ref(), &state.config.load());
        state.admins.load(&*state.storage).await?;
        let verifier = Arc::new(verifier);
        let c2s =
            C2s { server: Arc::clone(&state), verifier, certificates: Arc::clone(&certificates) };
        let c2s = Arc::new(c2s);
        c2s::restore(&state).await?;
        drop(state.tasks.spawn("goodbye", c2s::say_goodbye(Arc::clone(&state))));
        drop(state.tasks.spawn("memory", c2s::watch_memory(Arc::clone(&state))));
        let services = Services::new(c2s);
        let acceptor = Arc::new(Acceptor { server: Arc::clone(&state), certificates, services });
        let mut addresses = Vec::new();
        for (listener, socket) in sockets {
            if let Ok(address) = socket.local_addr() {
                tracing::debug!(%address, listener = listener.name, "listening");
                addresses.push((listener, address));
            }
            let task = Arc::clone(&acceptor).accept_all(listener, socket);
            drop(state.tasks.spawn("listener", task));
        }
        let server = Self { acceptor, addresses: Arc::new(addresses) };
        drop(state.running.set(Arc::new(WeakServer::new(&server))));
        server.watch_certificates();
        for service in server.state().registry.services() {
            service.start(server.state());
        }
        let expiry = mam::expiry::run(Arc::clone(server.state()));
        drop(server.state().tasks.spawn("archive-expiry", expiry));
        Ok(server)
    }

    /// Where it listens, in the order of the configuration.
    #[must_use]
    pub fn addresses(&self) -> &[(&'static Listener, SocketAddr)] {
        &self.addresses
    }

    /// Facts about the certificates in use.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateFacts> {
        self.acceptor.certificates.facts()
    }

    /// The served domains and all they share.
    #[must_use]
    pub fn state(&self) -> &Arc<ServerState> {
        &self.acceptor.server
    }

    /// Serves a connection as if it came to the listener of this name; for tests, which need no socket.
    ///
    /// # Panics
    /// If there is no such listener.
    pub fn connect(&self, io: Box<dyn Io>, listener: &str) {
        self.connect_from(io, SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), listener);
    }

    /// The same, for a peer at this address.
    ///
    /// # Panics
    /// If there is no such listener.
    pub fn connect_from(&self, io: Box<dyn Io>, peer: SocketAddr, listener: &str) {
        let listener = LISTENERS.iter().find(|row| row.name == listener).expect("a known listener");
        self.acceptor.serve(listener, io, peer, None);
    }

    /// Applies a new configuration and reads the certificates anew. What cannot be applied while
    /// running is logged and stays as it is.
    ///
    /// # Errors
    /// If a certificate cannot be used: everything stays as it was.
    pub fn reload(&self, config: Config) -> Result<Arc<Config>, TlsError> {
        let state = self.state();
        let (config, pending) = config.reloaded(&state.config.load());
        self.acceptor.certificates.reload(&config, &state.clock)?;
        for change in &pending {
            note_pending(change);
        }
        self.acceptor.services.c2s().verifier.refresh(&config.auth);
        state.budgets.apply(&config, raise_open_files());
        keep_to_quota(state.storage.as_ref(), &config);
        let config = Arc::new(config);
        state.config.store(Arc::clone(&config));
        self.note_certificates();
        tracing::info!("configuration applied");
        Ok(config)
    }

    /// Warns of certificates that expire soon, once a day.
    fn watch_certificates(&self) {
        self.note_certificates();
        let this = self.clone();
        let stopping = self.state().tasks.stopping();
        let task = async move {
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(DAY) => {
                        this.acceptor.certificates.warn_of_expiry(&this.state().clock);
                    }
                }
            }
        };
        drop(self.state().tasks.spawn("certificates", task));
    }

    fn note_certificates(&self) {
        let facts = self.acceptor.certificates.facts();
        let ends: Vec<_> = facts.iter().map(|f| (f.domain.as_str(), f.not_after)).collect();
        self.state().metrics.set_certificates(&ends);
    }
}

fn keep_to_quota(storage: &dyn Storage, config: &Config) {
    storage.usage().set_default_quota(config.limits.account_bytes as u64);
}

/// What the commands of the administrator may do with it.
#[async_trait]
impl ServerControl for Server {
    fn sessions(&self) -> Vec<SessionRow> {
        let mut rows: Vec<_> = self.state().sessions.all().iter().map(SessionRow::of).collect();
        rows.sort_by(|a, b| a.jid.cmp(&b.jid));
        rows
    }

    async fn close(&self, jid: &Jid, reason: Option<&str>) -> usize {
        let sessions = self.state().sessions.of(&jid.to_bare());
        let meant = sessions.iter().filter(|s| !jid.is_full() || **s.jid() == *jid);
        let why = CloseReason::Kicked(reason.map(Into::into));
        meant.map(|session| session.close(why.clone())).count()
    }

    async fn remove_account(&self, user: &BareJid) -> Result<Option<usize>, StorageError> {
        router::remove_account(self.state(), user).await
    }

    async fn admins_changed(&self) -> Result<(), StorageError> {
        self.state().admins.load(&*self.state().storage).await
    }

    fn status(&self) -> Vec<(&'static str, Value)> {
        let state = self.state();
        let domains: Vec<_> = state.hosts().iter().map(|h| h.domain.as_str()).collect();
        let listening = LISTENERS.iter().map(|listener| {
            let of = self.addresses.iter().filter(|(other, _)| other.name == listener.name);
            let addresses: Vec<_> = of.map(|(_, address)| address.to_string()).collect();
            (listener.name, json!(addresses))
        });
        let mut status = vec![
            ("version", json!(env!("CARGO_PKG_VERSION"))),
            ("domains", json!(domains)),
            ("uptime_seconds", json!(state.uptime().as_secs())),
        ];
        status.extend(listening);
        status.extend([
            ("connections", json!(state.metrics.connections.get())),
            ("sessions", json!(state.sessions.count())),
            ("messages_in", json!(state.metrics.stanzas_in.message.get())),
            ("messages_out", json!(state.metrics.stanzas_out.message.get())),
            ("panics", json!(state.metrics.panics.get())),
        ]);
        status
    }
}

/// A reference of the server to itself, which does not keep it alive.
struct WeakServer {
    acceptor: Weak<Acceptor<Services>>,
    addresses: Addresses,
}

impl WeakServer {
    fn new(server: &Server) -> Self {
        let (acceptor, addresses) =
            (Arc::downgrade(&server.acceptor), Arc::clone(&server.addresses));
        Self { acceptor, addresses }
    }

    fn server(&self) -> Option<Server> {
        Some(Server { acceptor: self.acceptor.upgrade()?, addresses: Arc::clone(&self.addresses) })
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

    async fn remove_account(&self, user: &BareJid) -> Result<Option<usize>, StorageError> {
        match self.server() {
            Some(server) => server.remove_account(user).await,
            None => Err(StorageError::Unusable("the server ends".into())),
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

/// Checks logins. Derives keys within the same bound as all others.
async fn verifier(state: &ServerState) -> Result<Verifier, StorageError> {
    let (storage, clock) = (Arc::clone(&state.storage), state.clock.clone());
    let config = state.config.load_full();
    let verifier = Verifier::new(storage, &config.auth, state.derivations.clone(), clock).await?;
    let key = auth::token_key(&config.data)
        .map_err(|error| StorageError::Unusable(format!("cannot use token.key: {error}")))?;
    Ok(verifier.with_token_key(key).with_tasks(state.tasks.clone()))
}

/// Logs a change that is in the file and not applied.
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
