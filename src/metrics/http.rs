//! What HTTP does: requests, their bytes, and bodies that are under way.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;

use super::register::{Labelled, Register};

/// The metrics of HTTP, over all listeners that speak it.
#[derive(Debug)]
pub struct HttpCounters {
    /// The bodies of requests that are being read.
    pub bodies_in: Gauge,
    /// The bodies of answers that are being written.
    pub bodies_out: Gauge,
    /// Bytes of the bodies of requests.
    pub received: Counter,
    /// route, status: see `src/http/meter.rs`.
    pub requests: Labelled<2>,
    /// Bytes of the bodies of answers.
    pub sent: Counter,
}

impl HttpCounters {
    pub(super) fn register(r: &mut Register) -> Self {
        let bodies = r.add(
            "http_bodies",
            None,
            "Bodies of HTTP requests (in) and answers (out) that are under way",
            Family::<[(&'static str, &'static str); 1], Gauge>::default(),
        );
        let direction = |way: &'static str| bodies.get_or_create_owned(&[("direction", way)]);
        Self {
            bodies_in: direction("in"),
            bodies_out: direction("out"),
            received: r.counter_of("http_received", Some(Unit::Bytes), "Bodies of HTTP requests"),
            requests: r.labelled(
                "http_requests",
                ["route", "status"],
                "HTTP requests that were answered, by what answered them and by status",
            ),
            sent: r.counter_of(
                "http_sent",
                Some(Unit::Bytes),
                "Bodies of answers to HTTP requests",
            ),
        }
    }
}
