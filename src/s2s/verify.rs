//! Asks a domain whether it has made a key (XEP-0220 §2.1.2), on a separate connection.

use std::net::IpAddr;

use tokio::time::timeout;

use super::attempts::name_of;
use super::dialback::Verdict;
use super::failure::{Failure, Scope};
use super::outgoing::{Purpose, open};
use super::pair::Pair;
use super::servers::Servers;
use crate::stanza::Condition;
use crate::tls::PeerCertificate;

/// Asks the other domain of the pair whether it has made this key for the stream with this id. `peer`: the address of
/// the server that has sent the key.
/// `certificate`: that of the peer, if the signed DNS or the web site of the domain must name it first.
pub(super) async fn verify(
    servers: &Servers,
    pair: &Pair,
    stream: String,
    key: String,
    peer: IpAddr,
    certificate: Option<&PeerCertificate>,
) -> Verdict {
    // A peer that sends keys for unreachable domains must not delay others: it waits for its own turns. Each of its streams has
    // few keys at a time. And no domain is asked repeatedly.
    let limit = servers.server().config.load().s2s.connect;
    let turns = servers.verifications.of(&name_of(peer), TURNS_OF_ADDRESS);
    let Ok(Some(_turn)) = timeout(limit, turns.turn()).await else {
        return Verdict::Error(Condition::ResourceConstraint);
    };
    if let Some(why) = servers.remotes.why_not_verify(&pair.remote, &name_of(peer)) {
        return without_answer(why);
    }
    if let Some(certificate) = certificate
        && !servers.is_named_by_others(&pair.remote, certificate).await
    {
        return Verdict::Error(Condition::NotAuthorized);
    }
    // Who asks again and again does not lengthen its pause.
    let is_left_alone = servers.remotes.why_not(&pair.remote).is_some();
    let purpose = Purpose::Verify { stream, key };
    let opened = timeout(limit, Box::pin(open(servers, pair, purpose))).await;
    let no_answer = |_| Failure::timeout("the other server does not answer");
    match opened.map_err(no_answer).and_then(|opened| opened) {
        Ok(opened) => {
            servers.close_later(opened.connection, &pair.local);
            match opened.verdict {
                Some(Verdict::Valid) => Verdict::Valid,
                // XEP-0220 §2.4: it cannot say.
                Some(Verdict::Error(_) | Verdict::Unreachable) => {
                    Verdict::Error(Condition::RemoteServerNotFound)
                }
                Some(Verdict::Invalid) | None => Verdict::Invalid,
            }
        }
        Err(why) => {
            tracing::info!(domain = %pair.remote, %why, "cannot ask another server for its key");
            if why.scope == Scope::All && !is_left_alone {
                servers.remotes.failed(pair, why);
            }
            without_answer(why)
        }
    }
}

/// The result when the domain cannot be asked (XEP-0220 §2.5).
fn without_answer(why: Failure) -> Verdict {
    match why.condition {
        Condition::RemoteServerTimeout if !why.is_connected => Verdict::Unreachable,
        condition => Verdict::Error(condition),
    }
}

/// Keys that are verified for one address at the same time.
const TURNS_OF_ADDRESS: usize = 4;
