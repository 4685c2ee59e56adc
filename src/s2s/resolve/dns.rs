//! The DNS, by hickory-resolver. It keeps answers in memory as long as they are valid.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, Record, RecordType};

use super::{Resolve, Srv, Unresolved};
use crate::tls::Tlsa;

/// The DNS.
pub struct Dns(Option<TokioResolver>);

impl Dns {
    /// Asks this server, or those of the system (`/etc/resolv.conf`).
    #[must_use]
    pub fn new(server: Option<SocketAddr>) -> Self {
        let builder = match server {
            Some(server) => {
                let mut own = NameServerConfig::udp_and_tcp(server.ip());
                own.connections.iter_mut().for_each(|connection| connection.port = server.port());
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![own]);
                Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
            }
            None => TokioResolver::builder_tokio(),
        };
        let resolver = builder.and_then(|mut builder| {
            let options = builder.options_mut();
            options.timeout = TIMEOUT;
            options.attempts = 2;
            options.cache_size = CACHE;
            builder.build()
        });
        let failed = |error: NetError| {
            tracing::warn!(%error, "other servers cannot be found: no server for DNS is configured");
        };
        Self(resolver.map_err(failed).ok())
    }

    /// The TLSA records of a name, in ASCII, such as `_5222._tcp.xmpp.example.org`. Empty if there are none. It is not
    /// checked whether they are signed.
    ///
    /// # Errors
    /// [`Unresolved`] if it is unknown whether there are any.
    pub async fn tlsa(&self, name: &str) -> Result<Vec<Tlsa>, Unresolved> {
        let resolver = self.0.as_ref().ok_or(Unresolved)?;
        let found = match resolver.lookup(format!("{name}."), RecordType::TLSA).await {
            Ok(found) => found,
            Err(error) => return none_or_failed(&error, name),
        };
        let records = found.answers().iter().filter_map(|record| match &record.data {
            RData::TLSA(tlsa) => Some(Tlsa {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data.clone(),
            }),
            _ => None,
        });
        Ok(records.take(MOST).collect())
    }

    /// Whether the zone of a name is signed (DNSSEC): the zone above it has the fingerprint of its key (DS, RFC 4034 §5).
    /// A zone below a signed one need not be signed.
    pub async fn is_signed(&self, name: &str) -> bool {
        let Some(resolver) = self.0.as_ref() else { return false };
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
        let resolver = self.0.as_ref().ok_or(Unresolved)?;
        let found = match resolver.lookup(format!("{name}."), RecordType::SRV).await {
            Ok(found) => found,
            Err(error) => return none_or_failed(&error, name),
        };
        let records = found.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(Srv {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_ascii().trim_end_matches('.').to_owned(),
            }),
            _ => None,
        });
        Ok(records.take(MOST).collect())
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let resolver = self.0.as_ref().ok_or(Unresolved)?;
        match resolver.lookup_ip(format!("{name}.")).await {
            Ok(found) => Ok(found.iter().take(MOST).collect()),
            Err(error) => none_or_failed(&error, name),
        }
    }
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
