//! TLS: certificates by name, replaced while running, and the facts to which logins are bound.
//!
//! RFC 7590 (TLS 1.2 and 1.3, ECDHE with AEAD only), RFC 6066 §3 (SNI), RFC 7301 (ALPN),
//! RFC 5929 §4 and RFC 9266 (channel binding). The thing one would get wrong: a ticket made
//! under an old certificate must not be taken after a reload, or the client would bind its
//! login to a certificate which we no longer have. So tickets live and die with their certificate.
//!
//! Memory of a connection that idles, as seen in rustls 0.23: `ServerConnection` itself (1.2
//! KiB inline, plus the boxed keys of both directions), and a read buffer of 4 KiB which rustls
//! keeps from the first read attempt on. The buffer falls back to 4 KiB by itself after a
//! large record. Write buffers are freed when they are flushed. Nothing is kept for sessions:
//! tickets are sealed and given to the client, so there is no table that grows. One ticket per
//! handshake and not two, because a client of ours opens one connection at a time.

mod certificate_files;
mod error;
mod pem;
mod selection;
mod x509;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use self::error::{Doubt, TlsError};
pub use self::selection::Purpose;

use self::selection::ServerConfigs;
use self::x509::Leaf;
use crate::clock::Clock;
use crate::config::{Config, HostConfig};
use crate::payload::datetime::Timestamp;

/// All certificates, chosen by name, replaceable while running. Connections that stand are not
/// touched by that.
#[derive(Debug)]
pub struct Certificates {
    set: ArcSwap<Set>,
}

/// What there is to know about the certificate of a host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFacts {
    /// The host, as it is written in the configuration.
    pub domain: String,
    /// Fingerprint: SHA-256 of the DER, as `openssl x509 -fingerprint -sha256` writes it.
    pub sha256: String,
    /// The end of its validity.
    pub not_after: Timestamp,
    /// It vouches for itself: issuer and subject are the same.
    pub self_signed: bool,
}

/// Where the self-signed certificate of a domain is kept. `None` if the domain can have none.
#[must_use]
pub fn kept_certificate(config: &Config, domain: &str) -> Option<PathBuf> {
    Some(
        config
            .data
            .join("certs")
            .join(format!("{}.crt", certificate_files::sni_name(domain).ok()?)),
    )
}

/// Facts of a finished handshake. Taken once, right after it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Handshake {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// TLS 1.3.
    pub version13: bool,
    /// Data of the channel binding `tls-exporter` (RFC 9266 §2). `None` on TLS 1.2, where it
    /// would be unique only with the extended master secret (RFC 9266 §4.2).
    pub exporter: Option<[u8; 32]>,
    /// The name the client asked for, in lower case.
    pub sni: Option<String>,
}

/// The certificate that one client gets, chosen before the handshake.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// What the handshake is made with.
    pub config: Arc<ServerConfig>,
    /// Data of the channel binding `tls-server-end-point` (RFC 5929 §4): the hash of this
    /// certificate. `None` where the binding is undefined: the signature of the certificate has no
    /// single hash (RFC 5929 §4.1), as with Ed25519.
    pub end_point: Option<Vec<u8>>,
    /// The host whose certificate it is, as configured.
    pub host: String,
}

/// Reads the facts of a handshake.
///
/// Before the handshake is finished there is no exporter, and the version is `unknown`.
#[must_use]
pub fn handshake_facts(c: &rustls::ServerConnection) -> Handshake {
    let version13 = c.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
    let version = match c.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "unknown",
    };
    // RFC 9266 §2: this label, an empty context (present, not absent), 32 bytes.
    let exporter = version13
        .then(|| c.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok())
        .flatten();
    Handshake { version, version13, exporter, sni: c.server_name().map(str::to_ascii_lowercase) }
}

impl Certificates {
    /// Loads the chain and the key of each host.
    ///
    /// For a host where none is configured a self-signed one is made and kept in the data
    /// directory, `certs/<domain>.crt` and `.key`. Certificates without a `key` of their own have
    /// it in the same file. Reads files and blocks on them. Warns through the log of what a
    /// peer would not like: a wrong name, an end that is near, a key that all may read.
    ///
    /// # Errors
    /// The first fault found; see [`TlsError`].
    pub fn load(config: &Config, clock: &Clock) -> Result<Arc<Self>, TlsError> {
        let set = ArcSwap::from_pointee(Set::load(config, clock)?);
        Ok(Arc::new(Self { set }))
    }

    /// Loads everything again. New handshakes see the new certificates, and old tickets are
    /// refused.
    ///
    /// # Errors
    /// As [`Certificates::load`]; then all the old ones stay in use.
    pub fn reload(&self, config: &Config, clock: &Clock) -> Result<(), TlsError> {
        self.set.store(Arc::new(Set::load(config, clock)?));
        Ok(())
    }

    /// The certificate for a client.
    ///
    /// By STARTTLS the stream was opened to `domain`, and that decides (RFC 6120 §5.4.3.1), whatever
    /// the SNI says: it may be missing, or name the target of an SRV record. With TLS from the first
    /// byte `domain` is `None`, and the SNI is all there is to go by.
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

    /// The certificates in use, in the order of the configuration.
    #[must_use]
    pub fn facts(&self) -> Vec<CertificateFacts> {
        self.set.load().hosts.iter().map(|host| host.facts.clone()).collect()
    }

    /// Warns through the log of each certificate that has expired or has less than 14 days left.
    /// [`Certificates::load`] does it too; a server that runs should ask daily.
    pub fn warn_of_expiry(&self, clock: &Clock) {
        for host in &self.set.load().hosts {
            host.warn_of_expiry(clock.now());
        }
    }
}

/// What one loading found. Never empty.
#[derive(Debug)]
struct Set {
    hosts: Vec<Host>,
}

impl Set {
    fn load(config: &Config, clock: &Clock) -> Result<Self, TlsError> {
        let hosts = config.hosts.iter().map(|wanted| Host::load(wanted, config, clock));
        let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() {
            return Err(TlsError::NoHosts);
        }
        Ok(Self { hosts })
    }
}

/// One host's certificate with all that follows from it.
#[derive(Debug)]
struct Host {
    /// The domain as in SNI: lower case, the ASCII form of DNS.
    name: String,
    configs: ServerConfigs,
    leaf: Leaf,
    facts: CertificateFacts,
}

impl Host {
    fn load(wanted: &HostConfig, config: &Config, clock: &Clock) -> Result<Self, TlsError> {
        let domain = &wanted.domain;
        let name = certificate_files::sni_name(domain)?;
        let pair = match own_files(wanted)? {
            Some((certificate, key)) => pem::read_pair(certificate, key)?,
            None => {
                certificate_files::self_signed(&config.data.join("certs"), domain, &name, clock)?
            }
        };
        let facts = CertificateFacts {
            domain: domain.clone(),
            sha256: x509::fingerprint(&pair.leaf),
            not_after: pair.leaf.not_after,
            self_signed: pair.leaf.self_signed,
        };
        for doubt in &pair.doubts {
            tracing::warn!(host = %domain, "{doubt}");
        }
        if !pair.leaf.covers(&name, domain) {
            tracing::warn!(host = %domain, "certificate does not name this host");
        }
        let configs = ServerConfigs::new(pair.key)?;
        let host = Self { name, configs, leaf: pair.leaf, facts };
        host.warn_of_expiry(clock.now());
        Ok(host)
    }

    fn warn_of_expiry(&self, now: Timestamp) {
        let CertificateFacts { domain, not_after, .. } = &self.facts;
        if *not_after <= now {
            tracing::warn!(host = %domain, until = %not_after, "certificate has expired");
        } else if not_after.as_micros() - now.as_micros() < SOON_MICROS {
            tracing::warn!(host = %domain, until = %not_after, "certificate expires soon");
        }
    }
}

/// The files of a host's certificate and key, if it has its own.
fn own_files(host: &HostConfig) -> Result<Option<(&Path, &Path)>, TlsError> {
    match (&host.certificate, &host.key) {
        (Some(certificate), key) => Ok(Some((certificate, key.as_ref().unwrap_or(certificate)))),
        (None, Some(_)) => Err(TlsError::KeyAlone { domain: host.domain.clone() }),
        (None, None) => Ok(None),
    }
}

/// What a server would make of a host's certificate, without making one where none is.
///
/// # Errors
/// Why no server would start with it.
pub fn inspect(host: &HostConfig, config: &Config, now: Timestamp) -> Result<Vec<Doubt>, TlsError> {
    let name = certificate_files::sni_name(&host.domain)?;
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
    } else if leaf.not_after.as_micros() - now.as_micros() < SOON_MICROS && !is_ours {
        doubts.push(Doubt::Soon(leaf.not_after));
    }
    if !leaf.covers(&name, &host.domain) {
        doubts.push(Doubt::OtherName { domain: host.domain.clone(), names: leaf.named() });
    }
    Ok(doubts)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// 14 days: time to act, and longer than a weekend.
const SOON_MICROS: i64 = 14 * DAY_MICROS;
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

#[cfg(test)]
mod tests;
