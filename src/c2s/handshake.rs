//! The TLS handshake, bounded in time and counted.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::C2s;
use crate::stream::wire::Wire;
use crate::tls::{self, Handshake};

/// Makes it, as the server. `None`: it failed, and the connection is lost.
pub(super) async fn make(
    c2s: &C2s,
    wire: Wire,
    config: Arc<rustls::ServerConfig>,
    limit: Duration,
) -> Option<(Wire, Handshake)> {
    let started = Instant::now();
    let metrics = &c2s.hosts.metrics;
    let wire = match timeout(limit, Box::pin(wire.secure(config))).await {
        Ok(Ok(wire)) => wire,
        Ok(Err(error)) => {
            metrics.tls_handshakes.inc(["none", "failure"]);
            tracing::debug!(%error, "TLS handshake failed");
            return None;
        }
        Err(_) => {
            metrics.tls_handshakes.inc(["none", "timeout"]);
            tracing::debug!("TLS handshake takes too long");
            return None;
        }
    };
    let facts = tls::handshake_facts(wire.tls()?);
    metrics.tls_handshakes.inc([facts.version, "success"]);
    tracing::debug!(
        version = facts.version,
        sni = facts.sni,
        elapsed_ms = started.elapsed().as_millis() as u64,
        "TLS established"
    );
    Some((wire, facts))
}
