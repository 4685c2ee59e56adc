//! The life of a link: it opens a stream, writes stanzas, and closes the stream when nothing was sent for a while.

use std::sync::Arc;

use tokio::time::{Instant, timeout};

use super::bounce::bounce;
use super::failure::{Failure, STOPPING};
use super::link::Link;
use super::outgoing::{Opened, Purpose, open};
use super::pair::Pair;
use super::servers::Servers;
use super::write::{Ended, write};

/// Serves a link until it has nothing to send for a while, or cannot send.
pub(super) async fn live(servers: Arc<Servers>, link: Arc<Link>) {
    let server = servers.server();
    let stopping = server.tasks.stopping();
    loop {
        let opened = tokio::select! {
            biased;
            () = stopping.cancelled() => Err(STOPPING),
            () = link.to_end() => Err(Failure::timeout("an administrator has closed the stream")),
            opened = Box::pin(attempt(&servers, &link.pair)) => opened,
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
                    _ if stopping.is_cancelled() => STOPPING,
                    Ended::Useless => Failure::protocol("the other server closes its streams"),
                    Ended::Closed | Ended::Idle | Ended::Lost if link.close_if_empty() => {
                        servers.remove(&link);
                        return;
                    }
                    // Something waits that it did not take.
                    Ended::Closed | Ended::Idle | Ended::Lost => continue,
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

/// Tries to open a stream, when it is the turn of this link: others may try to reach the same domain.
async fn attempt(servers: &Servers, pair: &Pair) -> Result<Opened, Failure> {
    let remote = servers.remotes.of(&pair.remote);
    let limit = servers.server().config.load().s2s.connect;
    let no_answer = |_| Failure::timeout("the other server does not answer");
    let attempt = async {
        let _turn = remote.turn.lock().await;
        if let Some(why) = remote.why(Instant::now()) {
            return Err(why);
        }
        let _permit = servers.attempts.acquire().await.map_err(|_| STOPPING)?;
        let opened = timeout(limit, Box::pin(open(servers, pair, Purpose::Stanzas))).await;
        let opened = opened.map_err(no_answer).and_then(|opened| opened);
        match &opened {
            Ok(_) => remote.reached(),
            Err(why) => {
                let pause = remote.failed(*why);
                tracing::debug!(?pause, "the other server is not tried again for a while");
            }
        }
        opened
    };
    // Those that wait for their turn are not for ever behind servers that do not answer.
    timeout(limit * 2, attempt).await.map_err(no_answer).and_then(|opened| opened)
}
