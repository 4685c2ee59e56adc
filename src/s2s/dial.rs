//! Connects to one of the machines that serve a domain: several attempts, each of which begins a moment after the one
//! before it, or when that has failed (Happy Eyeballs, RFC 8305, XEP-0495).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::failure::Failure;
use super::resolve::{Place, Resolve, Target};
use crate::listen::set_options;
use crate::stream::wire::{Io, Wire};
use crate::tls;

/// A connection to another server.
pub(super) struct Dialed {
    pub(super) wire: Wire,
    pub(super) peer: SocketAddr,
    /// With direct TLS: the certificates that the server has shown.
    pub(super) certificates: Option<Vec<CertificateDer<'static>>>,
}

/// What an attempt needs to know.
pub(super) struct Dialer<'a> {
    /// The domain, for TLS.
    pub(super) domain: &'a str,
    /// For TLS from the first byte.
    pub(super) direct: Arc<ClientConfig>,
    /// Where we listen for servers ourselves: there is nobody else.
    pub(super) own: &'a [SocketAddr],
    /// Time for the TLS handshake.
    pub(super) handshake: Duration,
}

impl Dialer<'_> {
    /// Connects to the first of these targets that answers.
    ///
    /// # Errors
    /// None does.
    pub(super) async fn dial(
        &self,
        dns: &dyn Resolve,
        targets: &[Target],
    ) -> Result<Dialed, Failure> {
        let (mut running, mut is_known, mut last) = (FuturesUnordered::new(), false, None);
        for target in targets {
            for address in addresses(dns, target).await {
                is_known = true;
                if running.len() >= MOST_AT_ONCE {
                    break;
                }
                running.push(self.attempt(address, target.is_direct));
                tokio::select! {
                    biased;
                    Some(done) = running.next() => match done {
                        Ok(dialed) => return Ok(dialed),
                        Err(failure) => last = Some(failure),
                    },
                    () = sleep(STAGGER) => {}
                }
            }
        }
        while let Some(done) = running.next().await {
            match done {
                Ok(dialed) => return Ok(dialed),
                Err(failure) => last = Some(failure),
            }
        }
        Err(match (last, is_known) {
            (Some(failure), _) => failure,
            (None, true) => Failure::timeout("no connection to the other server"),
            (None, false) => Failure::not_found("the domain has no address"),
        })
    }

    async fn attempt(&self, address: SocketAddr, is_direct: bool) -> Result<Dialed, Failure> {
        let failed = |error: &io::Error| {
            tracing::debug!(%address, %error, "cannot connect to another server");
            Failure::timeout("no connection to the other server")
        };
        let socket = match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return Err(failed(&error)),
            Err(_) => return Err(failed(&io::ErrorKind::TimedOut.into())),
        };
        if self.is_ourselves(&socket, address) {
            return Err(Failure::not_found(
                "the domain leads to this server, which does not serve it",
            ));
        }
        set_options(&socket);
        let io: Box<dyn Io> = Box::new(socket);
        if !is_direct {
            return Ok(Dialed { wire: Wire::Plain(io), peer: address, certificates: None });
        }
        let secured = tls::connect(io, Arc::clone(&self.direct), self.domain);
        match timeout(self.handshake, secured).await {
            Ok(Ok(connected)) => Ok(Dialed {
                wire: Wire::Plain(Box::new(connected.stream)),
                peer: address,
                certificates: Some(connected.certificates),
            }),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(failed(&io::ErrorKind::TimedOut.into())),
        }
    }

    /// Whether we have reached ourselves: a port at which we listen, of a machine that has our own address.
    fn is_ourselves(&self, socket: &TcpStream, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let is_local =
            ip.is_loopback() || socket.local_addr().is_ok_and(|own| own.ip().to_canonical() == ip);
        self.own.iter().any(|own| {
            let theirs = own.ip().to_canonical();
            own.port() == address.port() && (theirs == ip || theirs.is_unspecified() && is_local)
        })
    }
}

/// The addresses of a target, IPv6 and IPv4 in turn. None if DNS knows none.
async fn addresses(dns: &dyn Resolve, target: &Target) -> Vec<SocketAddr> {
    let (name, port) = match &target.place {
        Place::Address(address) => return vec![*address],
        Place::Name(name, port) => (name, *port),
    };
    let Ok(Ok(found)) = timeout(LOOK_UP, dns.addresses(name)).await else { return Vec::new() };
    in_turn(found).into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
}

/// RFC 8305 §4.
fn in_turn(all: Vec<IpAddr>) -> Vec<IpAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = all.into_iter().partition(IpAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut sorted = Vec::new();
    loop {
        let (six, four) = (v6.next(), v4.next());
        if six.is_none() && four.is_none() {
            return sorted;
        }
        sorted.extend(six);
        sorted.extend(four);
    }
}

/// RFC 8305 §5.
const STAGGER: Duration = Duration::from_millis(250);
/// For one connection.
const CONNECT: Duration = Duration::from_secs(15);
/// For the addresses of one machine.
const LOOK_UP: Duration = Duration::from_secs(15);
const MOST_AT_ONCE: usize = 16;

#[cfg(test)]
mod tests {
    use super::in_turn;

    #[test]
    fn both_kinds_of_addresses_come_in_turn() {
        let ips = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let sorted = in_turn(ips(&["192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.3"]));
        let expected: Vec<std::net::IpAddr> =
            ips(&["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        assert_eq!(sorted, expected);
    }
}
