//! The figures, in an order for people and as JSON.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::usage::Sample;

/// Named figures in the order in which they were added.
#[derive(Default)]
pub(crate) struct Report(Vec<(&'static str, f64)>);

impl Report {
    pub(crate) fn add(&mut self, name: &'static str, value: f64) {
        self.0.push((name, value));
    }

    /// Time and CPU time between two samples. Returns the server's CPU seconds.
    pub(crate) fn add_cpu(
        &mut self,
        elapsed: Duration,
        before: Sample,
        after: Sample,
    ) -> Option<f64> {
        let elapsed = elapsed.as_secs_f64();
        self.add("seconds", elapsed);
        let own = after.own_cpu - before.own_cpu;
        self.add("own_cpu_seconds", own);
        self.add("own_cpu_share", own / elapsed);
        let server = after.server?.cpu - before.server?.cpu;
        self.add("server_cpu_seconds", server);
        self.add("server_cpu_share", server / elapsed);
        Some(server)
    }

    /// The server's memory at one moment.
    pub(crate) fn add_memory(&mut self, sample: Sample) {
        if let Some(server) = sample.server {
            self.add("server_rss_kib", server.rss_kib as f64);
            self.add("server_pss_kib", server.pss_kib as f64);
        }
    }

    /// Median, 99th percentile and maximum of times in microseconds.
    pub(crate) fn add_latencies(&mut self, micros: Vec<u32>) {
        self.add_ranks(["latency_p50_ms", "latency_p99_ms", "latency_max_ms"], micros);
    }

    /// The same of the times from sender to recipient.
    pub(crate) fn add_arrivals(&mut self, micros: Vec<u32>) {
        self.add_ranks(["arrival_p50_ms", "arrival_p99_ms", "arrival_max_ms"], micros);
    }

    /// The same under other names.
    pub(crate) fn add_ranks(&mut self, names: [&'static str; 3], mut micros: Vec<u32>) {
        if micros.is_empty() {
            return;
        }
        micros.sort_unstable();
        for (name, percent) in names.into_iter().zip([50, 99, 100]) {
            let rank = micros[(micros.len() - 1) * percent / 100];
            self.add(name, f64::from(rank) / 1000.0);
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let figures = self.0.iter().map(|&(name, value)| (name.to_owned(), Value::from(value)));
        Value::Object(Map::from_iter(figures))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, value)| writeln!(f, "{name:32} {value:12.3}"))
    }
}
