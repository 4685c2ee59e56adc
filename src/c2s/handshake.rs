//! The TLS handshake, bounded in time and counted.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::C2s;
use crate::stream::wire::Wire;
use crate::tls::{self, Chosen, Handshake, Purpose};

/// Makes it, as the server, for a stream that was opened to `domain`, if there is one already.
/// `None`: it failed, and the connection is lost.
pub(super) async fn make(
    c2s: &C2s,
    wire: Wire,
    purpose: Purpose,
    domain: Option<&str>,
    limit: Duration,
) -> Option<(Wire, Handshake, Chosen)> {
    let started = Instant::now();
    let metrics = &c2s.hosts.metrics;
    let choose = |sni: Option<&str>| c2s.certificates.choose(purpose, domain, sni);
    let (wire, chosen) = match timeout(limit, Box::pin(wire.secure(choose))).await {
        Ok(Ok(secured)) => secured,
        Ok(Err(error)) => {
            metrics.tls_handshakes.inc(["none", "failure"]);
            tracing::debug!(%error, "TLS handshake failed");
            return None;
        }
        Err(_) => {
            metrics.tls_handshakes.inc(["none", "timeout"]);
            tracing::debug!("TLS handshake timed out");
            return None;
        }
    };
    let facts = tls::handshake_facts(wire.tls()?);
    metrics.tls_handshakes.inc([facts.version, "success"]);
    tracing::debug!(
        version = facts.version,
        sni = facts.sni,
        host = chosen.host,
        elapsed_ms = started.elapsed().as_millis() as u64,
        "TLS established"
    );
    Some((wire, facts, chosen))
}
