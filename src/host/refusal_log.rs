//! Limits the logging of equal events to a few in a minute, so that nobody can fill the disk with them.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Lines about one kind of event.
#[derive(Debug, Default)]
pub struct RefusalLog(Mutex<Minute>);

#[derive(Debug, Default)]
struct Minute {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl RefusalLog {
    /// Notes an event. `Some` if it is to be logged, with the number of those before it that were not.
    pub fn note(&self) -> Option<u64> {
        let (mut minute, now) = (self.0.lock(), Instant::now());
        if minute.began.is_none_or(|began| began + MINUTE <= now) {
            minute.began = Some(now);
            minute.lines = 0;
        }
        if minute.lines >= MOST {
            minute.left_out += 1;
            return None;
        }
        minute.lines += 1;
        Some(std::mem::take(&mut minute.left_out))
    }
}

/// Lines in a minute.
const MOST: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_thousand_events_are_few_lines() {
        let log = RefusalLog::default();
        let logged = (0..1000).filter_map(|_| log.note()).collect::<Vec<_>>();
        assert_eq!(logged, vec![0; MOST as usize]);
        tokio::time::advance(MINUTE).await;
        assert_eq!(log.note(), Some(990));
        assert_eq!(log.note(), Some(0));
    }
}
