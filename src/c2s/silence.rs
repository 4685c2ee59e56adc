//! When a client has been silent for too long (XEP-0199 §4.1): first a ping, then the end.
//!
//! Mobile networks drop addresses and say nothing: a client that does not answer is a lost
//! connection, not a logout.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::config::LimitsConfig;

/// How long a client has been silent, and what is due.
pub(super) struct Silence {
    after: Duration,
    answer: Duration,
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

impl Silence {
    pub(super) fn new(limits: &LimitsConfig) -> Self {
        Self {
            after: limits.silence,
            answer: limits.ping_answer,
            heard: Instant::now(),
            pinged: None,
            told: false,
        }
    }

    pub(super) fn broken(&mut self) {
        self.heard = Instant::now();
        self.pinged = None;
        self.told = false;
    }

    /// When something is due next; `untold`: there is something to acknowledge.
    pub(super) fn deadline(&mut self, untold: bool) -> impl Future<Output = ()> + use<> {
        self.told |= !untold;
        sleep_until(if self.told { self.due() } else { self.due().min(self.heard + TELL_AFTER) })
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
        if !self.told && now >= self.heard + TELL_AFTER {
            self.told = true;
            return Elapsed::Tell;
        }
        Elapsed::No
    }

    fn due(&self) -> Instant {
        self.pinged.map_or(self.heard + self.after, |pinged| pinged + self.answer)
    }
}

/// A client that says nothing more learns after this time what we have handled.
const TELL_AFTER: Duration = Duration::from_secs(5);
