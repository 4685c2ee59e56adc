//! All metrics of the server, with unit and help, in one place.
//!
//! A mistake that is easy to make: if a client chooses the value of a label, each value makes a new series
//! and fills the memory of the collector. So values of labels are `&'static str`; the only exception are the
//! served domains. A second one: a label is looked up under a lock. So counters that change with each stanza
//! are plain fields, resolved once.

mod http;
mod register;
mod time_histogram;
mod waits;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

pub use http::HttpCounters;
pub use register::{ByKind, Labelled};

use crate::payload::datetime::Timestamp;
use register::Register;
use waits::{Latency, StorageCounters};

/// All counters of the server. Cheap to clone; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Everything>);

#[derive(Debug)]
struct Everything {
    counters: Counters,
    registry: Registry,
    list: Vec<(String, &'static str, &'static str)>,
}

/// The counters. [`Metrics::new`] contains their names and help texts.
#[derive(Debug)]
#[expect(missing_docs, reason = "the help in Metrics::new is their documentation")]
pub struct Counters {
    pub budgets: BudgetCounters,
    pub bytes_in: Counter,
    pub bytes_out: Counter,
    pub connections: Gauge,
    pub connections_accepted: Counter,
    /// reason: `address`, `all`, `files`.
    pub connections_refused: Labelled<1>,
    pub http: HttpCounters,
    latency: Latency,
    /// mechanism; outcome: `success` or the SASL condition.
    pub logins: Labelled<2>,
    pub offline_delivered: Counter,
    pub offline_stored: Counter,
    pub overruns: Counter,
    pub panics: Counter,
    /// outcome: `success`, `busy`, `failure`, `refused`.
    pub pushes: Labelled<1>,
    pub rooms: RoomCounters,
    pub server_bytes_in: Counter,
    pub server_stanzas_in: ByKind,
    pub server_stanzas_out: ByKind,
    /// direction: `in`, `out`; outcome: `success`, `certificate`, `dialback`, or why there is no stream.
    pub server_streams: Labelled<2>,
    pub sessions: Gauge,
    /// condition: of the stanza error.
    pub stanzas_bounced: Labelled<1>,
    pub stanzas_in: ByKind,
    pub stanzas_out: ByKind,
    storage: StorageCounters,
    /// condition: of the stream error, `closed` or `lost`.
    pub streams_closed: Labelled<1>,
    /// version; outcome: `success`, `failure`, `timeout`.
    pub tls_handshakes: Labelled<2>,
    certificate_expiry: Family<[(&'static str, String); 1], Gauge>,
}

/// The metrics of the budgets.
#[derive(Debug)]
pub struct BudgetCounters {
    /// budget, scope, action: see `limit::budget`.
    pub actions: Labelled<3>,
    held: Family<[(&'static str, &'static str); 1], Gauge>,
}

/// The metrics of rooms.
#[derive(Debug)]
#[expect(missing_docs, reason = "each is explained where it is registered")]
pub struct RoomCounters {
    pub deliveries: Counter,
    pub in_memory: Gauge,
    pub occupants: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Metrics {
    type Target = Counters;

    fn deref(&self) -> &Counters {
        &self.0.counters
    }
}

impl Metrics {
    /// All counters at zero.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "some lines for each metric")]
    pub fn new() -> Self {
        let mut r = Register::new();
        let counters = Counters {
            budgets: BudgetCounters::register(&mut r),
            bytes_in: r.counter_of("received", Some(Unit::Bytes), "XML read from clients"),
            bytes_out: r.counter_of("sent", Some(Unit::Bytes), "XML written to clients"),
            connections: r.gauge(
                "connections",
                "Connections that are open, and sessions of BOSH beside the connections of their requests",
            ),
            connections_accepted: r.counter("connections_accepted", "Connections accepted"),
            connections_refused: r.labelled(
                "connections_refused",
                ["reason"],
                "Connections closed at once, by the bound which they exceeded, or by what was wrong",
            ),
            http: HttpCounters::register(&mut r),
            latency: Latency::register(&mut r),
            logins: r.labelled(
                "logins",
                ["mechanism", "outcome"],
                "Logins that ended, by SASL mechanism and by success or condition",
            ),
            offline_delivered: r.counter("offline_delivered", "Offline messages delivered"),
            offline_stored: r.counter("offline_stored", "Messages kept for users who are offline"),
            overruns: r.counter("overruns", "Sessions closed because they did not read"),
            panics: r.counter("panics", "Panics, each of which is a bug"),
            pushes: r.labelled(
                "pushes",
                ["outcome"],
                "Notifications to push services, by what became of them",
            ),
            rooms: RoomCounters::register(&mut r),
            server_bytes_in: r.counter_of(
                "servers_received",
                Some(Unit::Bytes),
                "XML read from other servers",
            ),
            server_stanzas_in: r.by_kind("server_stanzas_received", "Stanzas of other servers"),
            server_stanzas_out: r.by_kind("server_stanzas_sent", "Stanzas to other servers"),
            server_streams: r.labelled(
                "server_streams",
                ["direction", "outcome"],
                "Streams of and to other servers, by how they were proven or have failed",
            ),
            sessions: r.gauge("sessions", "Sessions with a bound resource"),
            stanzas_bounced: r.labelled(
                "stanzas_bounced",
                ["condition"],
                "Stanzas answered with an error, by its condition",
            ),
            stanzas_in: r.by_kind("stanzas_received", "Stanzas received from clients"),
            stanzas_out: r.by_kind("stanzas_sent", "Stanzas sent to clients"),
            storage: StorageCounters::register(&mut r),
            streams_closed: r.labelled(
                "streams_closed",
                ["condition"],
                "Streams that ended, by stream error, closed or lost",
            ),
            tls_handshakes: r.labelled(
                "tls_handshakes",
                ["version", "outcome"],
                "TLS handshakes that ended, by version and outcome",
            ),
            certificate_expiry: r.add(
                "certificate_expiry_timestamp",
                Some(Unit::Seconds),
                "When the certificate of a host ends, in seconds since 1970",
                Family::default(),
            ),
        };
        Self(Arc::new(Everything { counters, registry: r.registry, list: r.list }))
    }

    /// All metrics in the text format of OpenMetrics 1.0, with its `# EOF`.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.0.registry).expect("writing to a string does not fail");
        text
    }

    /// The name, unit (empty if there is none) and help of each metric, for the documentation.
    #[must_use]
    pub fn list(&self) -> Vec<(String, &'static str, &'static str)> {
        self.0.list.clone()
    }

    /// The gauge for the amount that is held of a budget.
    #[must_use]
    pub fn budget_held(&self, budget: &'static str) -> Gauge {
        self.0.counters.budgets.held.get_or_create_owned(&[("budget", budget)])
    }

    /// Records how long a message had to wait for its notification to leave for the push service.
    pub fn pushed(&self, after: Duration) {
        self.latency.push.observe(after);
    }

    /// Records how long the first of the stanzas that were written to a client had waited.
    pub fn delivered(&self, after: Duration) {
        self.latency.delivery.observe(after);
    }

    /// Records how long a stanza waited for the disk, before it could be acknowledged.
    pub fn handled(&self, after: Duration) {
        self.latency.acknowledgement.observe(after);
    }

    /// Records how long an archive query waited for its turn.
    pub fn waited_for_turn(&self, took: Duration) {
        self.storage.archive_wait.observe(took);
    }

    /// Records a transaction of the storage's writer and its number of changes.
    pub fn committed(&self, writes: usize, took: Duration) {
        let storage = &self.storage;
        storage.batches.inc();
        storage.writes.inc_by(writes as u64);
        storage.commit.observe(took);
    }

    /// Sets when the certificates of these domains expire. Other domains are removed.
    pub fn set_certificates(&self, hosts: &[(&str, Timestamp)]) {
        let family = &self.0.counters.certificate_expiry;
        family.clear();
        for &(host, not_after) in hosts {
            let seconds = not_after.as_micros().div_euclid(1_000_000);
            family.get_or_create_owned(&[("host", host.to_owned())]).set(seconds);
        }
    }
}

impl BudgetCounters {
    fn register(r: &mut Register) -> Self {
        Self {
            actions: r.labelled(
                "budget_actions",
                ["budget", "scope", "action"],
                "What was done to those who were over a budget",
            ),
            held: r.add("budget_held", None, "How much is held of a budget now", Family::default()),
        }
    }
}

impl RoomCounters {
    fn register(r: &mut Register) -> Self {
        Self {
            deliveries: r.counter(
                "room_deliveries",
                "Stanzas of rooms to their occupants, once for each of their sessions",
            ),
            occupants: r.gauge(
                "room_occupants",
                "Occupants of all rooms, as they were counted in the last minute",
            ),
            in_memory: r.gauge("rooms", "Rooms in memory, as they were counted in the last minute"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::Metrics;
    use crate::payload::datetime::Timestamp;

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::new();
        let clone = metrics.clone();
        clone.stanzas_in.message.inc();
        clone.bytes_in.inc_by(350);
        clone.logins.inc(["SCRAM-SHA-256", "success"]);
        clone.logins.counter(["PLAIN", "not-authorized"]).inc_by(2);
        clone.sessions.inc();
        clone.committed(3, Duration::from_millis(2));
        clone.set_certificates(&[("old.lit", Timestamp::from_micros(1))]);
        clone.set_certificates(&[("capulet.lit", Timestamp::from_micros(1_795_161_600_123_000))]);
        let text = metrics.render();
        for line in [
            "waxwing_stanzas_received_total{kind=\"message\"} 1",
            "waxwing_stanzas_received_total{kind=\"iq\"} 0",
            "waxwing_received_bytes_total 350",
            "waxwing_logins_total{mechanism=\"SCRAM-SHA-256\",outcome=\"success\"} 1",
            "waxwing_logins_total{mechanism=\"PLAIN\",outcome=\"not-authorized\"} 2",
            "waxwing_sessions 1",
            "waxwing_storage_writes_total 3",
            "waxwing_storage_commit_seconds_bucket{le=\"0.0025\"} 1",
            "waxwing_storage_commit_seconds_bucket{le=\"0.001\"} 0",
            "waxwing_certificate_expiry_timestamp_seconds{host=\"capulet.lit\"} 1795161600",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("old.lit"));
        assert!(text.ends_with("# EOF\n"));
    }

    fn own_folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/metrics")
    }

    /// The source code outside of this folder.
    fn code() -> String {
        fn read(folder: &Path, code: &mut String) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    read(&path, code);
                } else if !path.starts_with(own_folder()) {
                    code.push_str(&std::fs::read_to_string(path).unwrap());
                }
            }
        }
        let mut code = String::new();
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut code);
        code
    }

    #[test]
    fn each_number_is_counted_somewhere_and_each_label_that_is_told_occurs() {
        let (own, code) = (include_str!("mod.rs"), code());
        let begin = own.find("pub struct Counters {").unwrap();
        let fields = &own[begin..begin + own[begin..].find("\n}").unwrap()];
        let mut counted = 0;
        for line in fields.lines().map(str::trim) {
            if let Some((name, _)) = line.strip_prefix("pub ").and_then(|l| l.split_once(':')) {
                assert!(code.contains(&format!("metrics.{name}")), "{name} is counted nowhere");
                counted += 1;
            }
            if line.starts_with("///") {
                let words = line.split('`').skip(1).step_by(2).filter(|word| !word.contains(':'));
                words.for_each(|word| assert!(code.contains(&format!("\"{word}\"")), "{word}"));
            }
        }
        assert!(counted > 10, "there are fewer than there were");
        // What the methods above record is private: each of them must be called.
        let methods =
            &own[own.find("pub fn budget_held").unwrap()..own.find("impl BudgetCounters").unwrap()];
        let methods = methods.split("pub fn ").skip(1).filter_map(|rest| rest.split('(').next());
        let methods: Vec<_> = methods.collect();
        assert!(
            methods.contains(&"waited_for_turn") && methods.contains(&"committed"),
            "{methods:?}"
        );
        for method in methods {
            assert!(code.contains(&format!("metrics.{method}(")), "{method} is called nowhere");
        }
    }

    #[test]
    fn the_list_names_what_is_rendered_and_nothing_twice() {
        let metrics = Metrics::new();
        // A family shows nothing until it has a member.
        metrics.budgets.actions.inc(["work", "account", "delay"]);
        metrics.budget_held("memory").set(7);
        metrics.logins.inc(["PLAIN", "success"]);
        metrics.tls_handshakes.inc(["TLSv1.3", "success"]);
        metrics.connections_refused.inc(["all"]);
        metrics.http.requests.inc(["files", "200"]);
        metrics.pushes.inc(["success"]);
        metrics.stanzas_bounced.inc(["service-unavailable"]);
        metrics.server_streams.inc(["in", "dialback"]);
        metrics.streams_closed.inc(["closed"]);
        metrics.set_certificates(&[("capulet.lit", Timestamp::from_micros(0))]);
        let text = metrics.render();
        let list = metrics.list();
        for (i, (name, unit, help)) in list.iter().enumerate() {
            let is_rendered = text.lines().any(|l| {
                l.strip_prefix(name.as_str()).is_some_and(|l| l.starts_with([' ', '{', '_']))
            });
            assert!(is_rendered, "{name}");
            assert!(list[..i].iter().all(|(other, _, _)| other != name), "{name} twice");
            assert!(text.contains(&format!(" {help}.\n")), "{help}");
            assert!(unit.is_empty() || name.contains(unit), "{name}: {unit}");
        }
        assert_eq!(list.len(), text.lines().filter(|l| l.starts_with("# TYPE")).count());
    }
}
