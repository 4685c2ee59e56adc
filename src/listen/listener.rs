//! A kind of listener, and a connection that has come to it.

use std::net::SocketAddr;

use futures_util::future::BoxFuture;

use super::counted::Counted;
use crate::config::ListenConfig;
use crate::stream::handshake::Tls;
use crate::stream::wire::Wire;
use crate::tls::Purpose;

/// A kind of listener: one row of the table. `S` is what serves its connections.
#[derive(Debug)]
pub struct Listener<S: 'static> {
    /// What logs and `status` call it.
    pub name: &'static str,
    /// The option with its addresses, as it is written in the configuration.
    pub option: &'static str,
    /// Its addresses.
    pub addresses: fn(&ListenConfig) -> &[SocketAddr],
    /// What is done with a connection before it is served.
    pub transport: Transport,
    /// Serves one connection, to its end or until another task has it.
    pub serve: fn(&S, Accepted) -> BoxFuture<'static, ()>,
}

impl<S> Listener<S> {
    /// Whether proxies begin their connections to this listener with a header of the PROXY protocol
    /// (`listen.proxy_protocol`).
    #[must_use]
    pub fn expects_header(&self, listen: &ListenConfig) -> bool {
        let name = self.option.strip_prefix("listen.").unwrap_or(self.option);
        listen.proxy_protocol.contains(&name)
    }
}

/// What is done with a connection before it is served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// Nothing. TLS may begin later (RFC 6120 §5).
    Plain,
    /// Nothing: a reverse proxy has made TLS (`listen.proxies`).
    Proxied,
    /// The TLS handshake.
    Tls(Purpose),
}

/// A connection that is ready to be served.
pub struct Accepted {
    /// The connection.
    pub wire: Wire,
    /// Where the peer is: a client, or a reverse proxy. If a header of the PROXY protocol has said where the
    /// client is, there.
    pub peer: SocketAddr,
    /// The TLS of the connection; `None` if there is none (yet).
    pub tls: Option<Tls>,
    /// The connection comes from a reverse proxy that we trust. It makes TLS.
    pub is_proxied: bool,
    /// Counts the connection as long as it is open.
    pub counted: Counted,
}
