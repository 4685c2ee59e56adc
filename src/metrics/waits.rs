//! How long users wait, and what the storage does meanwhile.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Unit;

use super::register::Register;
use super::time_histogram::TimeHistogram;

/// How long users wait.
#[derive(Debug)]
pub(super) struct Latency {
    pub(super) acknowledgement: TimeHistogram,
    pub(super) delivery: TimeHistogram,
    pub(super) push: TimeHistogram,
}

/// The metrics of the storage: its writer, and how long readers wait.
#[derive(Debug)]
pub(super) struct StorageCounters {
    pub(super) archive_wait: TimeHistogram,
    pub(super) batches: Counter,
    pub(super) commit: TimeHistogram,
    pub(super) writes: Counter,
}

impl Latency {
    pub(super) fn register(r: &mut Register) -> Self {
        Self {
            acknowledgement: r.add(
                "acknowledgement",
                Some(Unit::Seconds),
                "Time for which a stanza waited to be on the disk, before it was acknowledged",
                TimeHistogram::new(&COMMIT_SECONDS),
            ),
            delivery: r.add(
                "delivery",
                Some(Unit::Seconds),
                "Time for which the first stanza for a connected client waited until all that waited were written",
                TimeHistogram::new(&DELIVERY_SECONDS),
            ),
            push: r.add(
                "push_delay",
                Some(Unit::Seconds),
                "Time from a message to the notification that leaves for its push service",
                TimeHistogram::new(&PUSH_SECONDS),
            ),
        }
    }
}

impl StorageCounters {
    pub(super) fn register(r: &mut Register) -> Self {
        Self {
            archive_wait: r.add(
                "archive_wait",
                Some(Unit::Seconds),
                "Time that a query to an archive waited for a turn, if it had to",
                TimeHistogram::new(&WAIT_SECONDS),
            ),
            batches: r.counter("storage_batches", "Transactions of the storage's writer"),
            commit: r.add(
                "storage_commit",
                Some(Unit::Seconds),
                "Time of a transaction of the storage's writer, with its commit",
                TimeHistogram::new(&COMMIT_SECONDS),
            ),
            writes: r.counter("storage_writes", "Changes that were written to the storage"),
        }
    }
}

/// Buckets from a commit on a fast disk to one that is far too slow.
const COMMIT_SECONDS: [f64; 11] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];
/// Buckets from a client that reads to one in a tunnel.
const DELIVERY_SECONDS: [f64; 10] =
    [0.000_1, 0.000_25, 0.001, 0.002_5, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0];
/// Buckets from a notification that leaves at once to one that is sent again.
const PUSH_SECONDS: [f64; 8] = [0.000_1, 0.000_5, 0.002_5, 0.01, 0.1, 1.0, 10.0, 60.0];
/// Buckets from the length of a turn to a wait that a user notices.
const WAIT_SECONDS: [f64; 8] = [0.000_5, 0.002_5, 0.01, 0.05, 0.1, 0.5, 2.5, 10.0];
