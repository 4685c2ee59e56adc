//! Connects to one of the machines that serve a domain: several attempts, each of which begins a moment after the one
//! before it, or when that has failed (Happy Eyeballs, RFC 8305, XEP-0495).

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use tokio::time::{Instant, sleep_until, timeout};

use super::failure::Failure;
use super::network::{Connect, Connected};
use super::resolve::{Place, Resolve, Target};
use crate::stream::wire::Wire;
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
    pub(super) connector: &'a dyn Connect,
    /// The domain, for TLS.
    pub(super) domain: &'a str,
    /// The settings for TLS from the first byte.
    pub(super) direct: Arc<ClientConfig>,
    /// The addresses at which we listen for servers: a connection there would reach ourselves.
    pub(super) own: &'a [SocketAddr],
    /// Time for the TLS handshake.
    pub(super) handshake: Duration,
}

/// The result of a look-up or an attempt.
enum Event {
    /// The addresses of the target at this place are these.
    Found(usize, Vec<SocketAddr>),
    /// An attempt to connect has ended.
    Tried(Result<Dialed, Failure>),
}

type Running<'a> = FuturesUnordered<BoxFuture<'a, Event>>;

impl Dialer<'_> {
    /// Connects to the first of these targets that answers. Names are looked up while connections are tried.
    ///
    /// # Errors
    /// If none answers.
    pub(super) async fn dial(
        &self,
        dns: &dyn Resolve,
        targets: &[Target],
    ) -> Result<Dialed, Failure> {
        let (mut running, mut last) = (Running::new(), None);
        // Targets that are not looked up yet, and addresses that are not tried yet, by target.
        let mut unknown = targets.iter().enumerate();
        let mut untried: BTreeMap<usize, VecDeque<SocketAddr>> = BTreeMap::new();
        let mut next = Instant::now();
        loop {
            let may_start = running.len() < MOST_AT_ONCE;
            let has_more = !untried.is_empty() || unknown.len() > 0;
            if running.is_empty() && !has_more {
                break;
            }
            tokio::select! {
                biased;
                Some(event) = running.next() => match event {
                    Event::Tried(Ok(dialed)) => return Ok(dialed),
                    Event::Tried(Err(failure)) => {
                        last = Some(failure);
                        next = Instant::now();
                    }
                    Event::Found(place, found) => {
                        // A target without an address counts as one that does not answer.
                        if found.is_empty() || running.is_empty() {
                            next = Instant::now();
                        }
                        if !found.is_empty() {
                            untried.insert(place, found.into());
                        }
                    }
                },
                () = sleep_until(next), if may_start && has_more => {
                    next = Instant::now() + STAGGER;
                    if let Some((address, target)) = pop(&mut untried).and_then(|(place, address)| {
                        Some((address, targets.get(place)?))
                    }) {
                        let attempt = self.attempt(address, target);
                        running.push(attempt.map(Event::Tried).boxed());
                    } else if let Some((place, target)) = unknown.next() {
                        let found = addresses(dns, target);
                        running.push(found.map(move |found| Event::Found(place, found)).boxed());
                    }
                }
            }
        }
        Err(last.unwrap_or(Failure::not_found("the domain has no address")))
    }

    async fn attempt(&self, address: SocketAddr, target: &Target) -> Result<Dialed, Failure> {
        let failed = |error: &io::Error| {
            tracing::debug!(%address, %error, "cannot connect to another server");
            match target.is_guess {
                // RFC 6120 §8.3.3.16: there are no SRV records, and nobody answers at the port of servers.
                true => Failure::not_found("there is no server at this domain"),
                false => Failure::timeout("no connection to the other server"),
            }
        };
        let connected = match timeout(CONNECT, self.connector.connect(address)).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(failed(&error)),
            Err(_) => return Err(failed(&io::ErrorKind::TimedOut.into())),
        };
        let Connected { io, own } = connected;
        if self.is_ourselves(own, address) {
            return Err(Failure::not_found(
                "the domain leads to this server, which does not serve it",
            ));
        }
        if !target.is_direct {
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
    /// `local`: our end of the connection.
    fn is_ourselves(&self, local: Option<SocketAddr>, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let is_local = ip.is_loopback() || local.is_some_and(|own| own.ip().to_canonical() == ip);
        self.own.iter().any(|own| {
            let theirs = own.ip().to_canonical();
            own.port() == address.port() && (theirs == ip || theirs.is_unspecified() && is_local)
        })
    }
}

/// The next address: of the first target that has one.
fn pop(untried: &mut BTreeMap<usize, VecDeque<SocketAddr>>) -> Option<(usize, SocketAddr)> {
    let mut first = untried.first_entry()?;
    let (place, address) = (*first.key(), first.get_mut().pop_front());
    if first.get().is_empty() {
        first.remove();
    }
    Some((place, address?))
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
/// How long one connection may take to be made.
const CONNECT: Duration = Duration::from_secs(15);
/// How long the look-up of the addresses of one machine may take.
const LOOK_UP: Duration = Duration::from_secs(15);
const MOST_AT_ONCE: usize = 16;

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use tokio::net::TcpListener;

    use super::*;
    use crate::s2s::network::Tcp;
    use crate::s2s::resolve::{Srv, Unresolved};

    #[test]
    fn both_kinds_of_addresses_come_in_turn() {
        let ips = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let sorted = in_turn(ips(&["192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.3"]));
        let expected: Vec<IpAddr> = ips(&["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        assert_eq!(sorted, expected);
    }

    /// Names that begin with `mute` are never answered, those that begin with `none` have no address, and others are here.
    struct Here;

    #[async_trait]
    impl Resolve for Here {
        async fn srv(&self, _: &str) -> Result<Vec<Srv>, Unresolved> {
            Ok(Vec::new())
        }

        async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
            if name.starts_with("mute") {
                std::future::pending::<()>().await;
            }
            let here = (!name.starts_with("none")).then(|| [127, 0, 0, 1].into());
            Ok(here.into_iter().collect())
        }
    }

    async fn dial(targets: &[Target]) -> Result<SocketAddr, Failure> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let direct = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let handshake = Duration::from_secs(1);
        let dialer = Dialer {
            connector: &Tcp,
            domain: "c.example",
            direct: Arc::new(direct),
            own: &[],
            handshake,
        };
        dialer.dial(&Here, targets).await.map(|dialed| dialed.peer)
    }

    fn target(name: &str, port: u16, is_guess: bool) -> Target {
        Target { place: Place::Name(name.to_owned(), port), is_direct: false, is_guess }
    }

    #[tokio::test]
    async fn a_name_that_is_not_found_does_not_hold_up_the_others() {
        let there = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (here, port) = (there.local_addr().unwrap(), there.local_addr().unwrap().port());
        let before = Instant::now();
        let mute = || [target("mute1", 1, false), target("mute2", 1, false)];
        let mut targets = Vec::from(mute());
        targets.extend([target("none", 1, false), target("here", port, false)]);
        assert_eq!(dial(&targets).await, Ok(here));
        // One that is there does not wait for the answers about the others, either.
        let mut targets = vec![target("here", port, false)];
        targets.extend(mute());
        assert_eq!(dial(&targets).await, Ok(here));
        assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    }

    #[tokio::test]
    async fn who_does_not_answer_at_the_usual_port_is_no_server() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let failed = |is_guess| async move { dial(&[target("here", port, is_guess)]).await };
        assert_eq!(failed(true).await.unwrap_err().word, "not-found");
        assert_eq!(failed(false).await.unwrap_err().word, "timeout");
        assert_eq!(dial(&[target("none", 1, false)]).await.unwrap_err().word, "not-found");
        assert!(dial(&[]).await.is_err());
    }
}
