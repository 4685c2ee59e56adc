//! The DNS, by hickory-resolver. It keeps answers in memory as long as they are valid.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use hickory_resolver::proto::serialize::txt::ParseError;

use super::{Resolve, Srv, Unresolved};
use crate::tls::{ServerKey, Tlsa};

/// The DNS.
pub struct Dns {
    resolver: Option<TokioResolver>,
    /// The same, which believes only what is signed where it must be (DNSSEC).
    pub(super) validating: Option<TokioResolver>,
}

impl Dns {
    /// Asks this server, or those of the system (`/etc/resolv.conf`). `anchor`: the file with the key of the DNS root; `None`
    /// for the key that is built in.
    #[must_use]
    pub fn new(server: Option<SocketAddr>, anchor: Option<&Path>) -> Self {
        let builder = || match server {
            Some(server) => {
                let mut own = NameServerConfig::udp_and_tcp(server.ip());
                own.connections.iter_mut().for_each(|connection| connection.port = server.port());
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![own]);
                Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
            }
            None => TokioResolver::builder_tokio(),
        };
        let build = |anchors: Option<TrustAnchors>| {
            builder().and_then(|mut builder| {
                let options = builder.options_mut();
                options.timeout = TIMEOUT;
                options.attempts = 2;
                options.cache_size = CACHE;
                match anchors {
                    Some(anchors) => {
                        options.edns0 = true;
                        builder.with_trust_anchor(Arc::new(anchors)).build()
                    }
                    None => builder.build(),
                }
            })
        };
        let failed = |error: NetError| {
            tracing::warn!(%error, "other servers cannot be found: no server for DNS is configured");
        };
        let validating = anchors(anchor).and_then(|anchors| build(Some(anchors)).ok());
        Self { resolver: build(None).map_err(failed).ok(), validating }
    }

    /// The TLSA records of a name, in ASCII, such as `_5222._tcp.xmpp.example.org`. Empty if there are none. It is not
    /// checked whether they are signed.
    ///
    /// # Errors
    /// [`Unresolved`] if it is unknown whether there are any.
    pub async fn tlsa(&self, name: &str) -> Result<Vec<Tlsa>, Unresolved> {
        let resolver = self.resolver.as_ref().ok_or(Unresolved)?;
        let found = match resolver.lookup(format!("{name}."), RecordType::TLSA).await {
            Ok(found) => found,
            Err(error) => return none_or_failed(&error, name),
        };
        Ok(found.answers().iter().filter_map(tlsa_of).take(MOST).collect())
    }

    /// Whether the zone of a name is signed (DNSSEC): the zone above it has the fingerprint of its key (DS, RFC 4034 §5).
    /// A zone below a signed one need not be signed.
    pub async fn is_signed(&self, name: &str) -> bool {
        let Some(resolver) = self.resolver.as_ref() else { return false };
        // The zone may begin at any label, but the zones of top-level domains do not count.
        let mut zone = name.trim_end_matches('.');
        while zone.contains('.') {
            let found = resolver.lookup(format!("{zone}."), RecordType::DS).await;
            let is_signature = |record: &Record| record.record_type() == RecordType::DS;
            if found.is_ok_and(|found| found.answers().iter().any(is_signature)) {
                return true;
            }
            // A zone begins where its SOA record is (RFC 1034 §4.2.1).
            let found = resolver.lookup(format!("{zone}."), RecordType::SOA).await;
            let begins_it = |record: &Record| {
                let is_it = record.name.to_ascii().trim_end_matches('.').eq_ignore_ascii_case(zone);
                is_it && record.record_type() == RecordType::SOA
            };
            if found.is_ok_and(|found| found.answers().iter().any(begins_it)) {
                return false;
            }
            zone = zone.split_once('.').map_or("", |(_, above)| above);
        }
        false
    }
}

#[async_trait]
impl Resolve for Dns {
    async fn srv(&self, name: &str) -> Result<Vec<Srv>, Unresolved> {
        let resolver = self.resolver.as_ref().ok_or(Unresolved)?;
        let found = match resolver.lookup(format!("{name}."), RecordType::SRV).await {
            Ok(found) => found,
            Err(error) => return none_or_failed(&error, name),
        };
        Ok(found.answers().iter().filter_map(srv_of).take(MOST).collect())
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let resolver = self.resolver.as_ref().ok_or(Unresolved)?;
        match resolver.lookup_ip(format!("{name}.")).await {
            Ok(found) => Ok(found.iter().take(MOST).collect()),
            Err(error) => none_or_failed(&error, name),
        }
    }

    async fn keys(&self, domain: &str) -> Result<Vec<ServerKey>, &'static str> {
        self.signed_keys(domain).await
    }

    fn has_keys(&self) -> bool {
        self.validating.is_some()
    }
}

/// The keys of the DNS root. `None` if the file cannot be used.
fn anchors(file: Option<&Path>) -> Option<TrustAnchors> {
    let Some(file) = file else { return Some(TrustAnchors::default()) };
    let failed = |error: ParseError| {
        tracing::warn!(file = %file.display(), %error, "no signed DNS is believed: the file cannot be used");
    };
    TrustAnchors::from_file(file).map_err(failed).ok()
}

/// The record, if it is an SRV record.
pub(super) fn srv_of(record: &Record) -> Option<Srv> {
    let RData::SRV(srv) = &record.data else { return None };
    Some(Srv {
        priority: srv.priority,
        weight: srv.weight,
        port: srv.port,
        target: srv.target.to_ascii().trim_end_matches('.').to_owned(),
    })
}

/// The record, if it is a TLSA record.
pub(super) fn tlsa_of(record: &Record) -> Option<Tlsa> {
    let RData::TLSA(tlsa) = &record.data else { return None };
    Some(Tlsa {
        usage: tlsa.cert_usage.into(),
        selector: tlsa.selector.into(),
        matching: tlsa.matching.into(),
        data: tlsa.cert_data.clone(),
    })
}

fn none_or_failed<T>(error: &NetError, name: &str) -> Result<Vec<T>, Unresolved> {
    if error.is_no_records_found() {
        return Ok(Vec::new());
    }
    tracing::debug!(%error, name, "DNS has failed");
    Err(Unresolved)
}

/// How long one question to one name server may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How many answers are cached.
const CACHE: u64 = 4096;
/// How many records of one answer are used.
const MOST: usize = 16;
