//! Time. Dates come from [`Clock`], timers from `tokio::time`. No code uses another source of time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::payload::datetime::Timestamp;

/// A source of dates. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Manual(Arc<AtomicI64>),
    System,
}

impl Clock {
    /// The clock of the operating system.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `start` until it is moved. Clones share it.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.as_micros()))))
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Manual(micros) => Timestamp::from_micros(micros.load(Ordering::Relaxed)),
            Source::System => {
                let now = time::OffsetDateTime::now_utc();
                Timestamp::from_micros((now.unix_timestamp_nanos() / 1000) as i64)
            }
        }
    }

    /// Moves a manual clock forward. It has no effect on the clock of the operating system.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(micros) = &self.0 {
            micros.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }
}
