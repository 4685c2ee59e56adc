//! The start of the server: it puts the parts together.

use std::net::SocketAddr;
use std::sync::Arc;

use super::control::WeakServer;
use super::listeners::{LISTENERS, Listener, Services};
use super::{Server, StartError, keep_to_quota};
use crate::admin::commands::COMMANDS;
use crate::auth::{self, Verifier};
use crate::c2s::{self, C2s};
use crate::clock::Clock;
use crate::config::Config;
use crate::host::stored_components::{self, StoredComponents};
use crate::host::{Module, Parts, Registry, RemoteServers, Route, ServerState};
use crate::limit::raise_open_files;
use crate::listen::{self, Acceptor};
use crate::metrics::Metrics;
use crate::modules::{self, client_access};
use crate::router::Router;
use crate::s2s::{Network, Servers};
use crate::storage::{Storage, StorageError, WireIds};
use crate::tasks::Tasks;
use crate::tls::Certificates;
use crate::upload::Uploads;

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
        let network = Network::internet(&config.s2s);
        let start = Self::start_with(modules::ALL, network, config, storage, clock, tasks);
        // Boxed: it is large.
        Box::pin(start).await
    }

    /// The same with these features and this network; for tests, which bring some of their own.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_with(
        features: &[&dyn Module],
        network: Network,
        config: Config,
        storage: Arc<dyn Storage>,
        clock: Clock,
        tasks: Tasks,
    ) -> Result<Self, StartError> {
        let sockets = listen::bind(LISTENERS, &config.open_ports()).map_err(StartError::Listen)?;
        let certificates = Certificates::load(&config, &clock)?;
        let mut registry = Registry::of(features, &config);
        registry.enter_commands(COMMANDS);
        let message_ids = WireIds::new(&storage.accounts().secret().await?);
        let metrics = Metrics::new();
        storage.measure(&metrics);
        let parts = Parts { config, storage, message_ids, metrics, clock, tasks };
        let router = Arc::new(Router::new(parts, registry)?);
        let state = Arc::clone(&router.server);
        let route: Arc<dyn Route> = Arc::clone(&router) as _;
        state.set_route(&route);
        if state.find_shared::<StoredComponents>().is_some() {
            stored_components::read(&state).await?;
        }
        let notices = client_access::Notices::new(Arc::clone(&state), Arc::clone(&route));
        let verifier = verifier(&state).await?.with_new_clients(Arc::new(notices));
        state.budgets.apply(&state.config.load(), raise_open_files());
        keep_to_quota(state.storage.as_ref(), &state.config.load());
        let verifier = Arc::new(verifier);
        let dropped = c2s::end_dropped_sessions(Arc::clone(&router));
        drop(state.tasks.spawn("dropped-sessions", dropped));
        c2s::restore(&router).await?;
        discard_uploads(&state).await;
        let c2s = C2s::new(Arc::clone(&router), verifier, Arc::clone(&certificates));
        let servers = servers(&router, &certificates, network).await?;
        let services = Services::new(Arc::new(c2s), servers);
        drop(state.tasks.spawn("goodbye", c2s::say_goodbye(Arc::clone(&state))));
        drop(state.tasks.spawn("memory", c2s::watch_memory(Arc::clone(&state))));
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
        if let Some(servers) = acceptor.services.servers() {
            servers.set_own_addresses(addresses_of_servers(&addresses));
            let remote: Arc<dyn RemoteServers> = Arc::clone(servers) as _;
            state.set_remote_servers(&remote);
        }
        let server = Self { acceptor, addresses: Arc::new(addresses) };
        drop(state.running.set(Arc::new(WeakServer::new(&server))));
        server.watch_certificates();
        for feature in features {
            feature.start(&state);
        }
        for service in router.registry.services() {
            service.start(&state, &route);
        }
        Ok(server)
    }
}

/// What talks to other servers; `None` if there are none to talk to.
async fn servers(
    router: &Arc<Router>,
    certificates: &Arc<Certificates>,
    network: Network,
) -> Result<Option<Arc<Servers>>, StorageError> {
    let state = &router.server;
    let config = state.config.load_full();
    if !config.s2s.enabled {
        return Ok(None);
    }
    let secret = state.storage.accounts().secret().await?;
    let (router, certificates) = (Arc::clone(router), Arc::clone(certificates));
    let servers = Servers::new(router, certificates, network, &secret);
    servers.read_exceptions().await?;
    Ok(Some(servers))
}

/// Where the server listens for other servers.
fn addresses_of_servers(all: &[(&'static Listener, SocketAddr)]) -> Vec<SocketAddr> {
    let of_servers = all.iter().filter(|(row, _)| row.option.starts_with("listen.s2s"));
    of_servers.map(|(_, address)| *address).collect()
}

/// Discards unfinished uploads of the previous run, before a client can continue one.
async fn discard_uploads(state: &ServerState) {
    if let Some(uploads) = state.find_shared::<Uploads>()
        && let Err(error) = uploads.contents.discard_all().await
    {
        tracing::error!(%error, "cannot remove uploads of before the start");
    }
}

/// Checks logins. Derives keys within the same bound as all others.
async fn verifier(state: &ServerState) -> Result<Verifier, StorageError> {
    let (storage, clock) = (Arc::clone(&state.storage), state.clock.clone());
    let config = state.config.load_full();
    let verifier = Verifier::new(storage, &config.auth, state.derivations.clone(), clock).await?;
    let key = auth::token_key(&config.data)
        .map_err(|error| StorageError::Unusable(format!("cannot use token.key: {error}")))?;
    let revocations = Arc::clone(state.sessions.revocations());
    let verifier = verifier.with_token_key(key).with_revocations(revocations);
    Ok(verifier.with_tasks(state.tasks.clone()))
}
