//! Which certificate a client gets, and the TLS settings that go with it.
//!
//! Each certificate has settings and tickets of its own, so what a login is bound to is what the
//! client got: a ticket of one certificate never resumes a connection under another, and a reload
//! in the middle of a handshake changes nothing for it.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::{Host, TlsError, provider};

/// What TLS is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// A stream, TLS from the first byte (XEP-0368).
    Direct,
    /// HTTP.
    Https,
    /// A stream that began in the clear (RFC 6120 §5).
    StartTls,
}

/// The settings of one certificate, for each purpose.
#[derive(Debug)]
pub(super) struct ServerConfigs {
    direct: Arc<ServerConfig>,
    https: Arc<ServerConfig>,
    starttls: Arc<ServerConfig>,
}

impl ServerConfigs {
    /// TLS 1.2 and 1.3, ECDHE with AEAD, stateless tickets, no 0-RTT, no client certificates.
    ///
    /// By STARTTLS, protocols that a client offers (ALPN) are ignored. Elsewhere a client that
    /// offers protocols must offer ours, or gets `no_application_protocol` (RFC 7301 §3.2); one
    /// that offers none is welcome (XEP-0368 §3).
    ///
    /// # Errors
    /// If the system has no random numbers for the tickets.
    pub(super) fn new(key: CertifiedKey) -> Result<Self, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .expect("the provider has suites for both versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(|_| TlsError::Random)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 1;
        // Early data could be replayed, and SASL before the handshake's end binds to nothing.
        config.max_early_data_size = 0;
        let speaking = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        Ok(Self {
            direct: speaking(b"xmpp-client"),
            https: speaking(b"http/1.1"),
            starttls: Arc::new(config.clone()),
        })
    }

    pub(super) fn of(&self, purpose: Purpose) -> &Arc<ServerConfig> {
        match purpose {
            Purpose::Direct => &self.direct,
            Purpose::Https => &self.https,
            Purpose::StartTls => &self.starttls,
        }
    }
}

/// The host that a name of SNI means (RFC 6066 §3): a domain of ours, the target of its SRV records
/// (clients send either), or none of them.
///
/// The target of an SRV record is known by the certificate that names it, or as a name below a
/// domain. Without any of that it is the first host: `host-unknown` in the stream is clearer than a
/// handshake that fails.
pub(super) fn by_sni<'a>(hosts: &'a [Host], sni: Option<&str>) -> &'a Host {
    let Some(name) = sni else { return &hosts[0] };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let is_below =
        |host: &&Host| name.strip_suffix(&*host.name).is_some_and(|rest| rest.ends_with('.'));
    let served = hosts.iter().find(|host| host.name == name);
    served
        .or_else(|| hosts.iter().find(|host| host.leaf.covers(&name, &name)))
        .or_else(|| hosts.iter().filter(is_below).max_by_key(|host| host.name.len()))
        .unwrap_or(&hosts[0])
}
