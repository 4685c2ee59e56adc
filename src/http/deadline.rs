//! How long a request may take. Whoever reads a long body gives it more time, piece by piece. While the server
//! itself works, as it waits for the disk, the time stands still: the client cannot be quicker.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// The time until which a request must be answered. Each request has it among its extensions, as
/// `Arc<Deadline>`.
#[derive(Debug)]
pub struct Deadline {
    limit: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    end: Instant,
    /// How many [`Working`] there are.
    working: usize,
}

/// The server works: the time of the request stands still until this is dropped.
#[derive(Debug)]
pub struct Working(Arc<Deadline>);

impl Deadline {
    pub(super) fn after(limit: Duration) -> Self {
        let state = State { end: Instant::now() + limit, working: 0 };
        Self { limit, state: Mutex::new(state) }
    }

    /// Begins the time again, because something has come.
    pub fn extend(&self) {
        self.state.lock().end = Instant::now() + self.limit;
    }

    /// Stops the time while the server works and the client waits.
    #[must_use]
    pub fn working(self: &Arc<Self>) -> Working {
        self.state.lock().working += 1;
        Working(Arc::clone(self))
    }

    /// Waits for the end.
    pub(super) async fn reached(&self) {
        loop {
            let now = Instant::now();
            let end = match *self.state.lock() {
                State { end, working: 0 } => end,
                // When that work ends, the time begins again.
                State { .. } => now + self.limit,
            };
            if end <= now {
                return;
            }
            sleep_until(end).await;
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.working -= 1;
        state.end = Instant::now() + self.0.limit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_makes_progress_has_more_time() {
        let limit = Duration::from_secs(60);
        let (deadline, begun) = (Deadline::after(limit), Instant::now());
        let work = async {
            for _ in 0..3 {
                sleep(Duration::from_secs(50)).await;
                deadline.extend();
            }
        };
        tokio::join!(deadline.reached(), work);
        assert_eq!(begun.elapsed(), Duration::from_secs(210));
    }

    #[tokio::test(start_paused = true)]
    async fn time_stands_still_while_the_server_works() {
        let limit = Duration::from_secs(60);
        let (deadline, begun) = (Arc::new(Deadline::after(limit)), Instant::now());
        let work = async {
            sleep(Duration::from_secs(30)).await;
            let (one, other) = (deadline.working(), deadline.working());
            sleep(Duration::from_secs(100)).await;
            drop(one);
            sleep(Duration::from_secs(100)).await;
            drop(other);
        };
        tokio::join!(deadline.reached(), work);
        assert_eq!(begun.elapsed(), Duration::from_secs(290));
    }
}
