//! The keys of the servers of a domain, as the DNS tells them (TLSA, RFC 6698), where it is signed (DNSSEC): RFC 7673 §3.
//!
//! What is easy to get wrong: the SRV records must be signed, too, since they say whose keys are looked at.

use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{Record, RecordType};
use tokio::time::timeout;

use super::Dns;
use super::dns::{srv_of, tlsa_of};
use crate::tls::ServerKey;

impl Dns {
    /// As [`super::Resolve::keys`].
    pub(super) async fn signed_keys(&self, domain: &str) -> Result<Vec<ServerKey>, &'static str> {
        let resolver = self.validating.as_ref().ok_or("there is no signed DNS")?;
        let all = timeout(LOOK_UP, keys(resolver, domain)).await;
        all.map_err(|_| "the DNS does not answer")?
    }
}

async fn keys(resolver: &TokioResolver, domain: &str) -> Result<Vec<ServerKey>, &'static str> {
    let direct = format!("_xmpps-server._tcp.{domain}.");
    let starttls = format!("_xmpp-server._tcp.{domain}.");
    let (direct, starttls) =
        futures_util::join!(servers(resolver, &direct), servers(resolver, &starttls));
    let mut servers = direct?;
    servers.extend(starttls?);
    if servers.is_empty() {
        // RFC 6120 §3.2.2.
        servers.push((domain.to_owned(), PORT));
    }
    servers.sort();
    servers.dedup();
    let mut keys = Vec::new();
    for (target, port) in servers.into_iter().take(MOST) {
        let name = format!("_{port}._tcp.{target}.");
        let found = signed(resolver, &name, RecordType::TLSA, tlsa_of).await?;
        keys.extend(found.into_iter().map(|tlsa| ServerKey { target: target.clone(), tlsa }));
    }
    if keys.is_empty() { Err("there are no TLSA records for the domain") } else { Ok(keys) }
}

/// The servers that the SRV records of this name name.
async fn servers(resolver: &TokioResolver, name: &str) -> Result<Vec<(String, u16)>, &'static str> {
    let found = signed(resolver, name, RecordType::SRV, srv_of).await?;
    let named = found.into_iter().filter(|srv| !srv.target.is_empty());
    Ok(named.map(|srv| (srv.target, srv.port)).collect())
}

/// The records of a name, all of which are signed.
async fn signed<T>(
    resolver: &TokioResolver,
    name: &str,
    kind: RecordType,
    read: fn(&Record) -> Option<T>,
) -> Result<Vec<T>, &'static str> {
    let found = match resolver.lookup(name, kind).await {
        Ok(found) => found,
        Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
        Err(error) => {
            tracing::debug!(%error, name, "DNS has failed, or its signatures are wrong");
            return Err("the DNS does not answer, or its signatures are wrong");
        }
    };
    let answers = found.answers().iter();
    let mut answers = answers.filter(|record| record.record_type() != RecordType::RRSIG);
    if answers.clone().any(|record| !record.proof.is_secure()) {
        return Err("the DNS of the domain is not signed");
    }
    Ok(answers.by_ref().filter_map(read).take(MOST).collect())
}

/// For all records of a domain.
const LOOK_UP: Duration = Duration::from_secs(15);
/// Servers of a domain, and records of one, that are looked at.
const MOST: usize = 8;
const PORT: u16 = 5269;
