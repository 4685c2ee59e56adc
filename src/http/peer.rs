//! Who asks: what is known of the connection that a request came on.
//!
//! What is easy to get wrong: behind a reverse proxy all clients have one address, and a client that
//! reaches the port could name any address as its own. So only proxies that the administrator names are
//! believed.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use parking_lot::Mutex;

use crate::config::Config;
use crate::listen::{Counted, is_proxy};

/// The connection of a request. Each request has it among its extensions, as `Arc<Peer>`.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    tls: Option<&'static str>,
    is_proxied: bool,
    counted: Mutex<Option<Counted>>,
}

impl Peer {
    pub(super) fn new(
        address: SocketAddr,
        tls: Option<&'static str>,
        is_proxied: bool,
        counted: Counted,
    ) -> Self {
        Self { address, tls, is_proxied, counted: Mutex::new(Some(counted)) }
    }

    /// The other end of the connection: a client, or a reverse proxy. If a header of the PROXY protocol has said
    /// where the client is, there.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The version of TLS, or that a reverse proxy makes TLS. `None` if nobody is known to make it.
    #[must_use]
    pub fn tls(&self) -> Option<&'static str> {
        self.tls.or(self.is_proxied.then_some(PROXY))
    }

    /// The connection comes from a reverse proxy that we trust.
    #[must_use]
    pub fn is_proxied(&self) -> bool {
        self.is_proxied
    }

    /// Takes what counts the connection, for whoever has the connection from now on. `None` if it was
    /// taken before.
    #[must_use]
    pub fn take_counted(&self) -> Option<Counted> {
        self.counted.lock().take()
    }

    /// Where the client of a request is. Of the addresses in `X-Forwarded-For`, this is the last one
    /// that is not of our own proxies: what stands before it may be made up. If all addresses are in the
    /// networks of our proxies, it is the first one: a client may be in such a network. If a header of the PROXY
    /// protocol has named a client that is no proxy of ours, it is that client, whatever it says.
    #[must_use]
    pub fn client(&self, config: &Config, headers: &HeaderMap) -> IpAddr {
        let peer = self.address.ip();
        if !self.is_proxied || !is_proxy(config, peer) {
            return peer;
        }
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
        let listed = lines.iter().rev().filter_map(|line| line.to_str().ok());
        let listed = listed.flat_map(|line| line.rsplit(','));
        let mut client = peer;
        for address in listed.map_while(|text| address(text.trim())) {
            client = address;
            if !is_proxy(config, address) {
                break;
            }
        }
        client
    }
}

/// An address, which some proxies write with its port.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().map(|found| found.ip());
    text.parse().or_else(|_| with_port()).ok()
}

/// What stands for the version of TLS where a reverse proxy makes TLS.
const PROXY: &str = "proxy";
const FORWARDED_FOR: &str = "x-forwarded-for";
