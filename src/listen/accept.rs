//! The accept loop: takes connections, counts them, makes TLS, and has them served, each in a task of
//! its own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tracing::Instrument;

use super::counted::Counted;
use super::listener::{Accepted, Listener, Transport};
use super::proxy_header;
use crate::config::Config;
use crate::host::ServerState;
use crate::limit::{BudgetScope, Permit};
use crate::stream::handshake::Handshaker;
use crate::stream::wire::{Io, Wire};
use crate::tls::Certificates;

/// Accepts connections for all listeners of a server.
pub struct Acceptor<S: 'static> {
    /// Budgets, metrics, tasks and the configuration.
    pub server: Arc<ServerState>,
    /// Certificates by name.
    pub certificates: Arc<Certificates>,
    /// What serves the connections.
    pub services: S,
}

impl<S: Send + Sync + 'static> Acceptor<S> {
    /// Accepts connections until the server ends. Never stops for an error: it waits a moment, since
    /// the process may be out of file descriptors for now.
    pub async fn accept_all(self: Arc<Self>, listener: &'static Listener<S>, socket: TcpListener) {
        let stopping = self.server.tasks.stopping();
        loop {
            let accepted = tokio::select! {
                () = stopping.cancelled() => return,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => self.accept(listener, socket, peer),
                Err(error) => {
                    if is_out_of_files(&error) {
                        self.server.metrics.connections_refused.inc(["files"]);
                    }
                    let listener = listener.name;
                    tracing::warn!(listener, %error, "cannot accept a connection; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn accept(
        self: &Arc<Self>,
        listener: &'static Listener<S>,
        socket: TcpStream,
        peer: SocketAddr,
    ) {
        self.server.metrics.connections_accepted.inc();
        // All clients of a proxy have its address: each is counted when the proxy has told the client's address.
        let is_client = !self.is_proxied(listener, peer) && !self.has_header(listener, peer);
        let address = is_client.then(|| peer.ip());
        match self.server.budgets.connections.permit(address) {
            Ok(permit) => {
                match listener.option.starts_with("listen.s2s") {
                    true => set_options_of_server(&socket),
                    false => set_options(&socket),
                }
                self.serve(listener, Box::new(socket), peer, Some(permit));
            }
            Err(scope) => note_refused(&self.server, peer, scope),
        }
    }

    /// Serves one connection, in a task of its own: a panic there ends this connection and no other.
    pub fn serve(
        self: &Arc<Self>,
        listener: &'static Listener<S>,
        io: Box<dyn Io>,
        peer: SocketAddr,
        permit: Option<Permit>,
    ) {
        let this = Arc::clone(self);
        let counted = Counted::new(&self.server.metrics, permit);
        let span = tracing::debug_span!("connection", listener = listener.name, %peer);
        let task = async move {
            if let Some(accepted) = this.prepare(listener, io, peer, counted).await {
                (listener.serve)(&this.services, accepted).await;
            }
        };
        drop(self.server.tasks.spawn("connection", task.instrument(span)));
    }

    /// Reads what a proxy says of its client, and does what the transport asks for. `None` if that fails, or
    /// the server ends.
    async fn prepare(
        &self,
        listener: &'static Listener<S>,
        mut io: Box<dyn Io>,
        peer: SocketAddr,
        mut counted: Counted,
    ) -> Option<Accepted> {
        let is_proxied = self.is_proxied(listener, peer);
        let peer = if self.has_header(listener, peer) {
            self.client_behind(listener, &mut io, peer, &mut counted).await?
        } else {
            peer
        };
        let (mut wire, mut tls) = (Wire::Plain(io), None);
        if let Transport::Tls(purpose) = listener.transport {
            let limit = self.server.config.load().limits.handshake;
            let metrics = &self.server.metrics;
            let handshaker = Handshaker { certificates: &self.certificates, metrics, limit };
            let stopping = self.server.tasks.stopping();
            let (secured, facts) = tokio::select! {
                secured = handshaker.secure(wire, purpose, None) => secured?,
                () = stopping.cancelled() => return None,
            };
            (wire, tls) = (secured, Some(facts));
        }
        Some(Accepted { wire, peer, tls, is_proxied, counted })
    }

    /// Where the client of a proxy is, as the header of the PROXY protocol says, for which the connection
    /// counts from now on. The proxy itself, which does not count for its address, if it is the client or
    /// does not know. `None` if the connection cannot be served.
    async fn client_behind(
        &self,
        listener: &'static Listener<S>,
        io: &mut Box<dyn Io>,
        proxy: SocketAddr,
        counted: &mut Counted,
    ) -> Option<SocketAddr> {
        let limit = self.server.config.load().limits.handshake;
        let stopping = self.server.tasks.stopping();
        let header = tokio::select! {
            header = timeout(limit, proxy_header::read(io)) => header,
            () = stopping.cancelled() => return None,
        };
        let client = match header {
            Ok(Ok(client)) => client.unwrap_or(proxy),
            Ok(Err(error)) => return self.refuse_proxy(listener, proxy, &error),
            Err(_) => return self.refuse_proxy(listener, proxy, &"no PROXY header came in time"),
        };
        if client == proxy {
            tracing::debug!("the proxy names no client");
            return Some(proxy);
        }
        tracing::debug!(%client, "the proxy names its client");
        if let Err(scope) = counted.count_for(client.ip(), &self.server.budgets) {
            note_refused(&self.server, client, scope);
            return None;
        }
        Some(client)
    }

    /// Logs that what a proxy sends does not fit what we expect, since its clients cannot connect.
    fn refuse_proxy<T>(
        &self,
        listener: &'static Listener<S>,
        proxy: SocketAddr,
        error: &dyn std::fmt::Display,
    ) -> Option<T> {
        self.server.metrics.connections_refused.inc(["proxy_header"]);
        let listener = listener.name;
        tracing::warn!(listener, %proxy, %error, "connection of a proxy refused (listen.proxy_protocol)");
        None
    }

    fn has_header(&self, listener: &'static Listener<S>, peer: SocketAddr) -> bool {
        let config = self.server.config.load();
        listener.expects_header(&config.listen) && is_proxy(&config, peer.ip())
    }

    fn is_proxied(&self, listener: &'static Listener<S>, peer: SocketAddr) -> bool {
        listener.transport == Transport::Proxied && is_proxy(&self.server.config.load(), peer.ip())
    }
}

/// Whether the administrator trusts this machine to be a reverse proxy (`listen.proxies`).
#[must_use]
pub fn is_proxy(config: &Config, address: IpAddr) -> bool {
    let address = address.to_canonical();
    config.listen.proxies.iter().any(|network| network.contains(&address))
}

/// Counts a connection that is over the budget, and will be closed.
pub fn note_refused(server: &ServerState, peer: SocketAddr, scope: BudgetScope) {
    server.metrics.connections_refused.inc([scope.word()]);
    tracing::debug!(%peer, reason = scope.word(), "connection refused");
}

/// For connections in both directions: sends small stanzas at once (NODELAY), and lets TCP find lost peers (keep-alive).
/// A socket that refuses an option is served all the same.
fn set_options(socket: &TcpStream) {
    let done = socket.set_nodelay(true).and_then(|()| {
        rustix::net::sockopt::set_socket_keepalive(socket, true)?;
        rustix::net::sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE)?;
        rustix::net::sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL)?;
        rustix::net::sockopt::set_tcp_keepcnt(socket, 3)?;
        Ok(())
    });
    if let Err(error) = done {
        tracing::debug!(%error, "cannot set socket options");
    }
}

/// For connections to and from other servers: if their machine acknowledges nothing for a minute, the connection is lost.
/// By default TCP waits for a quarter of an hour, and stanzas that are sent meanwhile would be lost.
pub fn set_options_of_server(socket: &TcpStream) {
    set_options(socket);
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(socket, UNACKNOWLEDGED) {
        tracing::debug!(%error, "cannot set socket options");
    }
}

fn is_out_of_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let of_process_or_machine =
        [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    of_process_or_machine.contains(&error.raw_os_error())
}

/// The pause after an accept that failed.
const PAUSE: Duration = Duration::from_millis(100);
/// Mobile networks forget a silent connection after about five minutes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(240);
/// In milliseconds.
const UNACKNOWLEDGED: u32 = 60_000;
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
