//! Asks a domain whether it has made a key (XEP-0220 §2.1.2), on a connection of its own.

use tokio::time::timeout;

use super::dialback::Verdict;
use super::outgoing::{Purpose, open};
use super::pair::Pair;
use super::servers::Servers;
use crate::stanza::Condition;

/// Asks the other domain of the pair whether it has made this key for the stream with this id.
pub(super) async fn verify(servers: &Servers, pair: &Pair, stream: String, key: String) -> Verdict {
    let Ok(_permit) = servers.verifications.try_acquire() else {
        return Verdict::Error(Condition::ResourceConstraint);
    };
    let limit = servers.server().config.load().s2s.connect;
    let purpose = Purpose::Verify { stream, key };
    match timeout(limit, Box::pin(open(servers, pair, purpose))).await {
        Ok(Ok(opened)) => {
            servers.close_later(opened.connection, &pair.local);
            opened.verdict.unwrap_or(Verdict::Invalid)
        }
        Ok(Err(why)) => {
            tracing::info!(domain = %pair.remote, %why, "cannot ask another server for its key");
            Verdict::Error(why.condition)
        }
        Err(_) => Verdict::Error(Condition::RemoteServerTimeout),
    }
}
