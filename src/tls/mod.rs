//! TLS: certificates by name, which can be replaced while the server runs, and the data for channel binding.
//!
//! RFC 7590 (TLS 1.2 and 1.3, ECDHE with AEAD only), RFC 6066 §3 (SNI), RFC 7301 (ALPN),
//! RFC 5929 §4 and RFC 9266 (channel binding). A mistake that is easy to make: the server must not accept a
//! ticket that was issued under an old certificate, since the client would bind its login to a certificate
//! that the server no longer has. So each certificate has its own tickets.
//!
//! There is no table of sessions: tickets are encrypted and given to the client. Each handshake gives one
//! ticket, because a client opens one connection at a time.

mod accept;
mod any_certificate;
mod certificate_files;
mod certificate_names;
mod client_certificates;
mod connect;
mod dane;
mod error;
mod exporter;
mod host;
mod look;
mod named;
mod names;
mod peer;
mod pem;
mod posh;
mod provider;
mod records;
mod selection;
mod server_configs;
mod stream;
mod tlsa;
mod web_client;
mod x509;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ServerConfig};

pub use self::accept::{ClientHello, accept, accept_as};
pub use self::connect::{Connected, connect};
pub use self::dane::ServerKey;
pub use self::error::{Doubt, TlsError};
pub use self::host::CertificateFacts;
pub use self::look::Looker;
pub use self::peer::{CertificateFault, PeerCertificate};
pub use self::posh::Fingerprint;
pub use self::server_configs::Purpose;
pub use self::stream::TlsStream;
pub use self::tlsa::{Tlsa, public_key_hash};
pub use self::web_client::web_client;

use self::client_certificates::ClientCertificates;
use self::host::{Host, own_files};
use self::names::sni_name;
use self::peer::Authorities;
use crate::clock::Clock;
use crate::config::{Config, HostConfig};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;

/// All certificates, chosen by name. They can be replaced while the server runs; existing connections are
/// not affected.
#[derive(Debug)]
pub struct Certificates {
    set: ArcSwap<Set>,
    clock: Clock,
}

/// The file of a domain's self-signed certificate. `None` if the domain cannot have one.
#[must_use]
pub fn kept_certificate(config: &Config, domain: &str) -> Option<PathBuf> {
    Some(config.data.join("certs").join(format!("{}.crt", sni_name(domain).ok()?)))
}

/// The facts of a handshake that has succeeded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Handshake {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// Whether it is TLS 1.3.
    pub version13: bool,
    /// Data of the channel binding `tls-exporter` (RFC 9266 §2). `None` on TLS 1.2, where it
    /// would be unique only with the extended master secret (RFC 9266 §4.2).
    pub exporter: Option<[u8; 32]>,
    /// The server name that the client sent, in lower case, if it was looked at.
    pub sni: Option<String>,
    /// The certificate of the client, and those that lead to its authority, as the client has sent them. Whether it is
    /// valid is another question: [`Certificates::addresses`]. Empty if the client has sent none.
    pub client: Vec<CertificateDer<'static>>,
}

/// The certificate for one client, chosen before the handshake.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The settings for the handshake.
    pub config: Arc<ServerConfig>,
    /// The data of the channel binding `tls-server-end-point` (RFC 5929 §4): the hash of this certificate.
    /// `None` if the binding is undefined, because the certificate's signature has no single hash function
    /// (RFC 5929 §4.1), as with Ed25519.
    pub end_point: Option<Vec<u8>>,
    /// The host of the certificate, as configured.
    pub host: String,
}

impl Certificates {
    /// Loads the chain and the key of each host.
    ///
    /// A host without a configured certificate gets a self-signed one, which is stored in the data directory
    /// as `certs/<domain>.crt` and `.key`. If no `key` is configured, the file of the certificate contains
    /// it. The function reads files and blocks. It logs warnings for what clients would not accept (a wrong
    /// name, an early expiry) and for a key that other users can read.
    ///
    /// # Errors
    /// The first error; see [`TlsError`].
    pub fn load(config: &Config, clock: &Clock) -> Result<Arc<Self>, TlsError> {
        let set = ArcSwap::from_pointee(Set::load(config, clock)?);
        Ok(Arc::new(Self { set, clock: clock.clone() }))
    }

    /// Loads everything again. New handshakes use the new certificates, and old tickets are refused.
    ///
    /// # Errors
    /// As [`Certificates::load`]. Then all old certificates stay in use.
    pub fn reload(&self, config: &Config, clock: &Clock) -> Result<(), TlsError> {
        self.set.store(Arc::new(Set::load(config, clock)?));
        Ok(())
    }

    /// The certificate for a client.
    ///
    /// With STARTTLS, the domain to which the stream was opened decides (RFC 6120 §5.4.3.1), not the SNI,
    /// which may be missing or name the target of an SRV record. With direct TLS, `domain` is `None`, and
    /// the SNI decides.
    #[must_use]
    pub fn choose(&self, purpose: Purpose, domain: Option<&str>, sni: Option<&str>) -> Chosen {
        let set = self.set.load();
        let host = domain.and_then(|domain| set.hosts.iter().find(|h| h.facts.domain == domain));
        let host = host.unwrap_or_else(|| selection::by_sni(&set.hosts, sni));
        Chosen {
            config: Arc::clone(host.configs.of(purpose)),
            end_point: host.leaf.end_point(),
            host: host.facts.domain.clone(),
        }
    }

    /// The settings for a connection to another server, in the name of this host. With direct TLS or not.
    #[must_use]
    pub fn outgoing(&self, host: &str, is_direct: bool) -> Arc<ClientConfig> {
        let set = self.set.load();
        let own = set.hosts.iter().find(|own| own.facts.domain == host);
        let own = own.unwrap_or_else(|| &set.hosts[0]);
        Arc::clone(own.configs.outgoing(is_direct))
    }

    /// The certificate of another server, as it is judged now. `chain`: the certificate, and those that lead to its
    /// authority.
    #[must_use]
    pub fn judge(&self, chain: &[CertificateDer<'_>]) -> PeerCertificate {
        self.set.load().authorities.judge(chain, self.clock.now())
    }

    /// The settings for connections to web sites, whose certificates must be valid as those of other servers.
    #[must_use]
    pub fn web_client(&self) -> Arc<ClientConfig> {
        let set = self.set.load();
        let made = || Arc::new(web_client::trusting(set.authorities.roots()));
        Arc::clone(set.web.get_or_init(made))
    }

    /// The addresses in the certificate of a client, if it is valid now (XEP-0178 §2).
    #[must_use]
    pub fn addresses(&self, client: &[CertificateDer<'_>]) -> Vec<BareJid> {
        match &self.set.load().clients {
            Some(clients) => clients.addresses(client, self.clock.now()),
            None => Vec::new(),
        }
    }

    /// The digits of SHA-256 of the certificate of a client. `None` if it has sent none.
    #[must_use]
    pub fn fingerprint(client: &[CertificateDer<'_>]) -> Option<String> {
        Some(client_certificates::fingerprint(client.first()?))
    }

    /// The certificates in use, in the order of the configuration.
    #[must_use]
    pub fn facts(&self) -> Vec<CertificateFacts> {
        self.set.load().hosts.iter().map(|host| host.facts.clone()).collect()
    }

    /// Logs a warning for each certificate that has expired or expires in less than 14 days.
    /// [`Certificates::load`] does it, too; a running server should call this daily.
    pub fn warn_of_expiry(&self, clock: &Clock) {
        for host in &self.set.load().hosts {
            host.warn_of_expiry(clock.now());
        }
    }
}

/// The result of a load. Never empty.
#[derive(Debug)]
struct Set {
    hosts: Vec<Host>,
    /// `None`: clients are not asked for certificates.
    clients: Option<Arc<ClientCertificates>>,
    /// Who may have signed the certificates of other servers.
    authorities: Authorities,
    /// The settings for web sites, made when one is asked first.
    web: OnceLock<Arc<ClientConfig>>,
}

impl Set {
    fn load(config: &Config, clock: &Clock) -> Result<Self, TlsError> {
        let clients = ClientCertificates::load(&config.auth)?;
        let hosts = config.hosts.iter();
        let hosts = hosts.map(|wanted| Host::load(wanted, config, clock, clients.as_ref()));
        let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() {
            return Err(TlsError::NoHosts);
        }
        let authorities = Authorities::load(&config.s2s)?;
        Ok(Self { hosts, clients, authorities, web: OnceLock::new() })
    }
}

/// Checks the files with the certificates of authorities for clients, and with what they have revoked, if there are any.
///
/// # Errors
/// Why a server would not start with it.
pub fn inspect_authorities(config: &Config) -> Result<(), TlsError> {
    ClientCertificates::load(&config.auth).map(drop)
}

/// Checks a host's certificate as a starting server would, without creating one.
///
/// # Errors
/// Why a server would not start with it.
pub fn inspect(host: &HostConfig, config: &Config, now: Timestamp) -> Result<Vec<Doubt>, TlsError> {
    let name = sni_name(&host.domain)?;
    let pair = match own_files(host)? {
        Some((certificate, key)) => pem::read_pair(certificate, key)?,
        None => match certificate_files::kept(&config.data.join("certs"), &name)? {
            Some(pair) => pair,
            None => return Ok(Vec::new()),
        },
    };
    let pem::Pair { leaf, mut doubts, .. } = pair;
    let is_ours = host.certificate.is_none();
    if leaf.not_before > now {
        doubts.push(Doubt::NotYet(leaf.not_before));
    } else if leaf.not_after <= now && !is_ours {
        doubts.push(Doubt::Expired(leaf.not_after));
    } else if leaf.ends_soon(now) && !is_ours {
        doubts.push(Doubt::Soon(leaf.not_after));
    }
    if !leaf.covers(&name, &host.domain) {
        doubts.push(Doubt::OtherName { domain: host.domain.clone(), names: leaf.named() });
    }
    Ok(doubts)
}

#[cfg(test)]
mod tests;
