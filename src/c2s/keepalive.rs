//! When a client has been silent for too long (XEP-0199 §4.1): first a ping, then the end.
//!
//! Mobile networks drop addresses and say nothing: a client that does not answer is a lost
//! connection, not a logout.
//!
//! A sign of life is something whole: a stanza, white space between stanzas, a control frame of a
//! WebSocket. The bytes of an unfinished stanza are none: an unclosed tag would swallow the answer
//! to each ping, and the connection would never end. But a large stanza over a slow network must get
//! through, and the answer to a ping can only come behind it. So its bytes count for the time that
//! they take at [`SLOWEST`]. A phone that sends 200 KiB at 2 KiB/s is never asked. A client that sends a
//! byte a minute is lost as soon as one that sends nothing. In all, a stanza has `silence` +
//! `ping_answer` and a second for each KiB.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::config::LimitsConfig;

/// How long a client has been silent, and what is due.
pub(super) struct Keepalive {
    after: Duration,
    answer: Duration,
    /// The last sign of life, or later, by what has come of an unfinished stanza.
    heard: Instant,
    pinged: Option<Instant>,
    told: bool,
}

/// What is due.
pub(super) enum Elapsed {
    /// It did not answer.
    Dead,
    /// Nothing yet.
    No,
    /// A ping.
    Ping,
    /// It does not know what we have handled (XEP-0198 §4).
    Tell,
}

impl Keepalive {
    pub(super) fn new(limits: &LimitsConfig) -> Self {
        Self {
            after: limits.silence,
            answer: limits.ping_answer,
            heard: Instant::now(),
            pinged: None,
            told: false,
        }
    }

    /// So many bytes came. `alive`: there was something whole among them; else all are part of a
    /// stanza that goes on.
    pub(super) fn broken(&mut self, bytes: usize, alive: bool) {
        let now = Instant::now();
        if alive {
            *self = Self { heard: now, pinged: None, told: false, ..*self };
        } else {
            let worth = Duration::from_secs(bytes as u64) / SLOWEST;
            self.heard = now.min(self.heard + worth);
        }
    }

    /// For so long we did not read: that the client said nothing is no fault of its own.
    pub(super) fn ours(&mut self, time: Duration) {
        self.heard += time;
    }

    /// When something is due next; `untold`: there is something to acknowledge.
    pub(super) fn deadline(&mut self, untold: bool) -> impl Future<Output = ()> + use<> {
        self.told |= !untold;
        sleep_until(if self.told { self.due() } else { self.due().min(self.heard + ACK_AFTER) })
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
        if !self.told && now >= self.heard + ACK_AFTER {
            self.told = true;
            return Elapsed::Tell;
        }
        Elapsed::No
    }

    fn due(&self) -> Instant {
        let silent = self.heard + self.after;
        self.pinged.map_or(silent, |pinged| pinged.max(silent) + self.answer)
    }
}

/// Bytes of an unfinished stanza that are as good as a sign of life, if they come in one second.
const SLOWEST: u32 = 1024;

/// A client that says nothing more learns after this time what we have handled.
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
                silence.broken(bytes, now >= whole);
            }
            if now > whole {
                return (None, asked);
            }
            match silence.elapsed() {
                Elapsed::Dead => return (Some(now), asked),
                Elapsed::Ping => asked = true,
                Elapsed::No | Elapsed::Tell => {}
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
        silence.broken(100, false);
        tokio::time::advance(Duration::from_secs(1000)).await;
        silence.ours(Duration::from_secs(1000));
        tokio::time::advance(Duration::from_secs(179)).await;
        assert!(!matches!(silence.elapsed(), Elapsed::Ping | Elapsed::Dead));
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_of_a_stanza_when_the_ping_was_sent_counts() {
        let mut silence = silence();
        tokio::time::advance(Duration::from_secs(180)).await;
        assert!(matches!(silence.elapsed(), Elapsed::Tell | Elapsed::Ping));
        for _ in 0..100 {
            tokio::time::advance(Duration::from_secs(1)).await;
            silence.broken(2048, false);
            assert!(!matches!(silence.elapsed(), Elapsed::Dead));
        }
        silence.broken(1, true);
        tokio::time::advance(Duration::from_secs(179)).await;
        assert!(!matches!(silence.elapsed(), Elapsed::Ping | Elapsed::Dead));
    }
}
