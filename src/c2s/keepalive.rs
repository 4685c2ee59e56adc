//! What is due when a client has been silent (XEP-0199 §4.1, RFC 7395 §3.8): first a ping, then the end.
//!
//! A mobile network may drop a connection and say nothing. So a client that does not answer has a lost
//! connection; it has not logged out.
//!
//! A sign of life is something whole: a stanza, white space between stanzas, a control frame of a
//! WebSocket. The bytes of an unfinished stanza are no sign of life: an unclosed tag would swallow the
//! answer to each ping, and the connection would never end. But a large stanza over a slow network must get
//! through, and the answer to a ping can only come behind it. So its bytes count for the time that
//! they take at [`SLOWEST`]. A phone that sends 200 KiB at 2 KiB/s gets no ping. A client that sends a
//! byte a minute is lost as soon as one that sends nothing. In all, a stanza has `silence` +
//! `ping_answer` and a second for each KiB.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::config::LimitsConfig;
use crate::host::ServerState;
use crate::ns;
use crate::random::random_id;
use crate::session::SessionRef;
use crate::stanza::{Content, Head, Iq, IqKind, Stanza};
use crate::xml::element;

/// How long a client has been silent, and what is due.
pub(super) struct Keepalive {
    after: Duration,
    answer: Duration,
    /// When the last sign of life came; later, by what has come of an unfinished stanza.
    last_sign: Instant,
    pinged: Option<Instant>,
    acknowledged: bool,
}

/// What is due.
pub(super) enum Elapsed {
    /// The end: the ping was not answered.
    Dead,
    /// Nothing yet.
    No,
    /// A ping.
    Ping,
    /// To acknowledge what we have handled (XEP-0198 §4): the client does not know it.
    Acknowledge,
}

impl Keepalive {
    pub(super) fn new(limits: &LimitsConfig) -> Self {
        Self {
            after: limits.silence,
            answer: limits.ping_answer,
            last_sign: Instant::now(),
            pinged: None,
            acknowledged: false,
        }
    }

    /// Notes that `bytes` were read. `is_sign`: a complete element was among them. If not, all of them are part of
    /// an unfinished stanza.
    pub(super) fn received(&mut self, bytes: usize, is_sign: bool) {
        let now = Instant::now();
        if is_sign {
            *self = Self { last_sign: now, pinged: None, acknowledged: false, ..*self };
        } else {
            let worth = Duration::from_secs(bytes as u64) / SLOWEST;
            self.last_sign = now.min(self.last_sign + worth);
        }
    }

    /// The server did not read for this time. That does not count as silence of the client.
    pub(super) fn did_not_read(&mut self, time: Duration) {
        self.last_sign += time;
    }

    /// Waits until something is due. `has_unacked`: there is something to acknowledge.
    pub(super) fn deadline(&mut self, has_unacked: bool) -> impl Future<Output = ()> + use<> {
        self.acknowledged |= !has_unacked;
        sleep_until(if self.acknowledged {
            self.due()
        } else {
            self.due().min(self.last_sign + ACK_AFTER)
        })
    }

    pub(super) fn elapsed(&mut self) -> Elapsed {
        let now = Instant::now();
        if now >= self.due() {
            if self.pinged.is_some() {
                return Elapsed::Dead;
            }
            self.pinged = Some(now);
            return Elapsed::Ping;
        }
        if !self.acknowledged && now >= self.last_sign + ACK_AFTER {
            self.acknowledged = true;
            return Elapsed::Acknowledge;
        }
        Elapsed::No
    }

    fn due(&self) -> Instant {
        let silent = self.last_sign + self.after;
        self.pinged.map_or(silent, |pinged| pinged.max(silent) + self.answer)
    }
}

/// Sends the client a ping of the server (XEP-0199 §4.1).
pub(super) fn ping(server: &ServerState, client: &SessionRef) {
    let Some(host) = server.host(client.jid().domain()) else { return };
    let mut head = Head::between(host.jid.clone(), client.jid().clone());
    head.id = Some(random_id());
    let content = Content::from(element("ping").ns(ns::PING));
    let ping = Stanza::Iq(Iq { head, kind: IqKind::Get, content });
    // If the mailbox is full, the session is being closed already.
    if client.deliver(Arc::new(ping)).is_err() {
        tracing::debug!("no ping: the client does not read");
    }
}

/// Bytes a second: an unfinished stanza that comes as fast as this counts as a sign of life.
const SLOWEST: u32 = 1024;

/// After this time of silence we acknowledge what we have handled.
const ACK_AFTER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn silence() -> Keepalive {
        let limits = LimitsConfig {
            silence: Duration::from_secs(180),
            ping_answer: Duration::from_secs(20),
            ..crate::config::Config::default_for("localhost", "/nowhere".into()).limits
        };
        Keepalive::new(&limits)
    }

    /// After how many seconds the connection is lost, and whether there was a ping before, if a client
    /// sends so many bytes each so many seconds of a stanza that is whole after so many seconds.
    async fn lost(bytes: usize, every: u64, whole: u64) -> (Option<u64>, bool) {
        let (mut silence, begin, mut asked) = (silence(), Instant::now(), false);
        loop {
            tokio::time::advance(Duration::from_secs(1)).await;
            let now = begin.elapsed().as_secs();
            if now % every == 0 {
                silence.received(bytes, now >= whole);
            }
            if now > whole {
                return (None, asked);
            }
            match silence.elapsed() {
                Elapsed::Dead => return (Some(now), asked),
                Elapsed::Ping => asked = true,
                Elapsed::No | Elapsed::Acknowledge => {}
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_of_an_unfinished_stanza_are_no_sign_of_life() {
        assert_eq!(lost(1, 60, u64::MAX).await, (Some(201), true), "a byte a minute");
        assert_eq!(lost(0, 1, u64::MAX).await, (Some(200), true), "nothing");
        assert_eq!(lost(512, 1, u64::MAX).await, (Some(400), true), "half as slow");
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_stanza_gets_through_a_slow_network() {
        assert_eq!(lost(2048, 1, 100).await, (None, false), "200 KiB at 2 KiB/s");
        assert_eq!(lost(2048, 1, 5000).await, (None, false), "10 MB at 2 KiB/s");
        assert_eq!(lost(120 * 1024, 120, 600).await, (None, false), "in bursts");
        assert_eq!(lost(100, 1, 210).await, (None, true), "a short one, slower");
    }

    #[tokio::test(start_paused = true)]
    async fn while_we_do_not_read_nobody_is_silent() {
        let mut silence = silence();
        silence.received(100, false);
        tokio::time::advance(Duration::from_secs(1000)).await;
        silence.did_not_read(Duration::from_secs(1000));
        tokio::time::advance(Duration::from_secs(179)).await;
        assert!(!matches!(silence.elapsed(), Elapsed::Ping | Elapsed::Dead));
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_of_a_stanza_when_the_ping_was_sent_counts() {
        let mut silence = silence();
        tokio::time::advance(Duration::from_secs(180)).await;
        assert!(matches!(silence.elapsed(), Elapsed::Acknowledge | Elapsed::Ping));
        for _ in 0..100 {
            tokio::time::advance(Duration::from_secs(1)).await;
            silence.received(2048, false);
            assert!(!matches!(silence.elapsed(), Elapsed::Dead));
        }
        silence.received(1, true);
        tokio::time::advance(Duration::from_secs(179)).await;
        assert!(!matches!(silence.elapsed(), Elapsed::Ping | Elapsed::Dead));
    }
}
