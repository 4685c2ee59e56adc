//! A histogram of times that takes no lock. Some times are recorded for each message, by all threads, and the
//! histogram of `prometheus-client` takes a lock for each value.

use std::fmt;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// A histogram of times. Clones share their values.
#[derive(Clone, Debug)]
pub(super) struct TimeHistogram(Arc<Values>);

#[derive(Debug)]
struct Values {
    /// Upper bounds of the buckets in seconds, in order. The last bucket has none.
    bounds: &'static [f64],
    /// One count more than bounds.
    counts: Box<[AtomicU64]>,
    nanoseconds: AtomicU64,
}

impl TimeHistogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let counts = iter::repeat_with(AtomicU64::default).take(bounds.len() + 1).collect();
        Self(Arc::new(Values { bounds, counts, nanoseconds: AtomicU64::default() }))
    }

    pub(super) fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = self.0.bounds.partition_point(|bound| *bound < seconds);
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl EncodeMetric for TimeHistogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = self.0.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.0.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        // What is recorded meanwhile may be in the sum and in no bucket, or in a bucket and not yet in the sum. The
        // next time it is in both.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.0.nanoseconds.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum.as_secs_f64(), count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    #[test]
    fn a_time_is_in_the_bucket_of_its_bound_and_in_all_above() {
        let histogram = TimeHistogram::new(&[0.001, 0.5]);
        for millis in [1, 2, 500, 501] {
            histogram.clone().observe(Duration::from_millis(millis));
        }
        let (mut registry, mut text) = (Registry::default(), String::new());
        registry.register("took", "", histogram);
        encode(&mut text, &registry).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("took")).collect();
        let expected = [
            "took_sum 1.004",
            "took_count 4",
            "took_bucket{le=\"0.001\"} 1",
            "took_bucket{le=\"0.5\"} 3",
            "took_bucket{le=\"+Inf\"} 4",
        ];
        assert_eq!(lines, expected);
    }
}
