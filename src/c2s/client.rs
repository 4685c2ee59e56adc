//! What serves clients, and what it is given to serve.

use std::net::SocketAddr;
use std::sync::Arc;

use super::negotiation::SettingsCache;
use crate::auth::Verifier;
use crate::host::ServerState;
use crate::listen::{Accepted, Counted};
use crate::router::Router;
use crate::stream::channel::Channel;
use crate::stream::handshake::Tls;
use crate::tls::Certificates;

/// What serves clients. One a server.
pub struct C2s {
    /// Carries the stanzas of clients.
    pub router: Arc<Router>,
    /// Checks logins.
    pub verifier: Arc<Verifier>,
    /// Certificates by name.
    pub certificates: Arc<Certificates>,
    /// The settings of negotiations.
    pub(super) settings: SettingsCache,
}

impl C2s {
    /// Serves the clients of this router's server.
    #[must_use]
    pub fn new(
        router: Arc<Router>,
        verifier: Arc<Verifier>,
        certificates: Arc<Certificates>,
    ) -> Self {
        Self { router, verifier, certificates, settings: SettingsCache::default() }
    }

    /// What all tasks of the server share.
    #[must_use]
    pub fn server(&self) -> &Arc<ServerState> {
        &self.router.server
    }
}

/// A connection of a client, before its stream begins.
pub struct Client {
    /// The connection.
    pub channel: Channel,
    /// Where the client is.
    pub peer: SocketAddr,
    /// How far the connection has come.
    pub start: StartState,
    /// Counts the connection as long as it is open.
    pub counted: Counted,
}

impl From<Accepted> for Client {
    fn from(accepted: Accepted) -> Self {
        let Accepted { wire, peer, tls, counted, .. } = accepted;
        let start = tls.map_or(StartState::StartTls, |tls| StartState::Tls(Box::new(tls)));
        Self { channel: Channel::Tcp(wire), peer, start, counted }
    }
}

/// How far a connection has come when its stream begins.
#[derive(Debug)]
pub enum StartState {
    /// There is no TLS: STARTTLS is due (RFC 6120 §5).
    StartTls,
    /// There was TLS from the first byte (XEP-0368).
    Tls(Box<Tls>),
    /// The stream is inside HTTP (RFC 7395, XEP-0124), and TLS of this version around that.
    Http(&'static str),
}
