//! The server as a whole: it puts the parts together, listens, reloads, and ends in good order.

mod control;
mod listeners;
mod start;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

pub use listeners::{LISTENERS, Listener, Services};

use crate::config::{Config, ListenConfig, Pending};
use crate::host::stored_components::StoredComponents;
use crate::host::{DomainError, ServerState, privileges};
use crate::limit::raise_open_files;
use crate::listen::{self, Acceptor, Refused};
use crate::router::Router;
use crate::storage::{Storage, StorageError};
use crate::stream::wire::Io;
use crate::tls::{CertificateFacts, TlsError};

/// A running server. Cheap to clone; it ends with its [`Tasks`](crate::tasks::Tasks).
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
    listen::bind(LISTENERS, listen).err().unwrap_or_default()
}

impl Server {
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

    /// The router.
    #[must_use]
    pub fn router(&self) -> &Arc<Router> {
        &self.acceptor.services.c2s().router
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
        let mut config = config;
        if let Some(stored) = state.find_shared::<StoredComponents>() {
            stored.add_to(&mut config);
        }
        let (config, pending) = config.reloaded(&state.config.load());
        self.acceptor.certificates.reload(&config, &state.clock)?;
        for change in &pending {
            note_pending(change);
        }
        self.acceptor.services.c2s().verifier.refresh(&config.auth);
        state.budgets.apply(&config, raise_open_files());
        keep_to_quota(state.storage.as_ref(), &config);
        let config = Arc::new(config);
        let before = state.config.swap(Arc::clone(&config));
        privileges::tell_changes(state, &before, &config);
        if let Some(servers) = state.remote_servers() {
            servers.rules_changed();
        }
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

/// Logs a change that is in the file and not applied.
fn note_pending(change: &Pending) {
    match change {
        Pending::Added(host) => tracing::warn!(%host, "this domain is served only after a restart"),
        Pending::AddedRooms(prefix) => {
            tracing::warn!(prefix, "this service for rooms is offered only after a restart");
        }
        Pending::RemovedRooms(prefix) => {
            tracing::warn!(prefix, "this service for rooms is offered until a restart");
        }
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
