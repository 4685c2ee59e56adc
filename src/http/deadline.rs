//! How long a request may take. Whoever reads a long body gives it more time, piece by piece.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// The time until which a request must be answered. Each request has it among its extensions, as
/// `Arc<Deadline>`.
#[derive(Debug)]
pub struct Deadline {
    limit: Duration,
    end: Mutex<Instant>,
}

impl Deadline {
    pub(super) fn after(limit: Duration) -> Self {
        Self { limit, end: Mutex::new(Instant::now() + limit) }
    }

    /// Something has come: the time begins again.
    pub fn extend(&self) {
        *self.end.lock() = Instant::now() + self.limit;
    }

    /// Waits for the end.
    pub(super) async fn reached(&self) {
        loop {
            let end = *self.end.lock();
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
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
}
