//! What time it is. Dates come from [`Clock`], timers from `tokio::time`; nothing else tells time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::payload::datetime::Timestamp;

/// Tells the date. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Manual(Arc<AtomicI64>),
    System,
}

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock which stands still at `start` until it is told otherwise; clones share it.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.as_micros()))))
    }

    /// The present moment.
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

    /// Moves a manual clock on; the machine's clock takes no notice.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(micros) = &self.0 {
            micros.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }
}
