//! The life of a link: it opens a stream, writes stanzas, and closes the stream when nothing was sent for a while.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::bounce::bounce;
use super::failure::{BUSY, Failure, STOPPING};
use super::link::Link;
use super::outgoing::{Opened, Purpose, open};
use super::servers::Servers;
use super::write::{Ended, write};

/// Serves a link until it has nothing to send for a while, or cannot send.
pub(super) async fn live(servers: Arc<Servers>, link: Arc<Link>) {
    let server = servers.server();
    let ending = server.tasks.ending();
    loop {
        let opened = tokio::select! {
            biased;
            () = ending.cancelled() => Err(STOPPING),
            () = link.to_end() => Err(Failure::timeout("an administrator has closed the stream")),
            opened = Box::pin(attempt(&servers, &link)) => opened,
        };
        let why = match opened {
            Ok(opened) => {
                server.metrics.server_streams.inc(["out", "success"]);
                tracing::info!(
                    from = %link.pair.local, to = %link.pair.remote, peer = %opened.connection.peer,
                    "a stream to another server is open"
                );
                link.set_opened(Some(opened.connection.peer));
                let ended = Box::pin(write(&servers, &link, opened)).await;
                link.set_opened(None);
                tracing::info!(to = %link.pair.remote, how = ended.word(), "a stream to another server has ended");
                match ended {
                    _ if ending.is_cancelled() => STOPPING,
                    Ended::Useless => {
                        let why = Failure::useless();
                        servers.remotes.failed(&link.pair, why);
                        why
                    }
                    Ended::Asked | Ended::Closed | Ended::Idle | Ended::Lost
                        if link.close_if_empty() =>
                    {
                        servers.remove(&link);
                        return;
                    }
                    // The stream did not take everything that waits.
                    Ended::Asked | Ended::Closed | Ended::Idle | Ended::Lost => continue,
                }
            }
            Err(why) => {
                server.metrics.server_streams.inc(["out", why.word]);
                tracing::info!(
                    from = %link.pair.local, to = %link.pair.remote, %why,
                    "another server cannot be reached"
                );
                why
            }
        };
        let waiting = link.close();
        servers.remove(&link);
        bounce(server, waiting, why).await;
        return;
    }
}

/// Tries to open a stream, when this link gets a turn: other links may try to reach the same domain, or one account may
/// try to reach many domains.
async fn attempt(servers: &Servers, link: &Link) -> Result<Opened, Failure> {
    let (pair, remotes) = (&link.pair, &servers.remotes);
    let limit = servers.server().config.load().s2s.connect;
    // For all of it: stanzas wait no longer, also behind attempts to reach servers that do not answer.
    let until = Instant::now() + limit;
    let turns = servers.attempts.of(link.by(), link.turns());
    let turn = timeout_at(until, turns.turn()).await;
    let _turn = turn.map_err(|_| BUSY)?.ok_or(STOPPING)?;
    let remote = remotes.of(&pair.remote);
    let _own = timeout_at(until, remote.turn.lock()).await.map_err(|_| NO_ANSWER)?;
    // It may have been denied since the stanza was taken.
    if !servers.rules().may_talk(&pair.remote) {
        return Err(Failure::not_found("this server does not talk to that domain"));
    }
    if let Some(why) = remotes.why_not_pair(pair) {
        return Err(why);
    }
    let is_short = until - Instant::now() < limit / 2;
    let opened = timeout_at(until, Box::pin(open(servers, pair, Purpose::Stanzas))).await;
    let opened = match opened {
        Ok(opened) => opened,
        // It had little time: no reason to leave the other server alone.
        Err(_) if is_short => return Err(NO_ANSWER),
        Err(_) => Err(NO_ANSWER),
    };
    match &opened {
        Ok(_) => remotes.forget(pair),
        Err(why) => {
            let pause = remotes.failed(pair, *why);
            tracing::debug!(?pause, "the other server is not tried again for a while");
        }
    }
    opened
}

const NO_ANSWER: Failure = Failure::timeout("the other server does not answer");
