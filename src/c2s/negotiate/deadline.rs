//! When a connection must have a session (`limits.negotiation`).

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::stanza::{StreamCondition, StreamError};

/// When the negotiation of one connection must be over, and what the client is told if it is not.
#[derive(Debug)]
pub(super) struct Deadline(Mutex<Due>);

#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    why: &'static str,
    /// Accounts that the client has registered.
    accounts: u8,
}

impl Deadline {
    /// A deadline after so much time from now on.
    pub(super) fn new(time: Duration) -> Self {
        Self(Mutex::new(Due { at: Instant::now() + time, why: "login timed out", accounts: 0 }))
    }

    /// The client has registered an account, and gets its time once more to log in. Only for the first
    /// accounts: otherwise a client could stay for ever by registering more.
    pub(super) fn registered(&self, time: Duration) {
        let mut due = self.0.lock();
        due.why = "an account was made, but nobody has logged in";
        if due.accounts < ACCOUNTS {
            due.accounts += 1;
            due.at = Instant::now() + time;
        }
    }

    /// Waits until the deadline has passed, and returns what the client is told.
    pub(super) async fn passed(&self) -> StreamError {
        loop {
            let Due { at, why, .. } = *self.0.lock();
            if Instant::now() >= at {
                return StreamCondition::ConnectionTimeout.text(why);
            }
            sleep_until(at).await;
        }
    }
}

/// How many accounts give a connection more time.
const ACCOUNTS: u8 = 10;
