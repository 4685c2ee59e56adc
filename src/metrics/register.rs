//! Metrics are registered once, with name, unit and help. The documentation lists them.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry, Unit};

/// A counter for each kind of stanza. Counting is one atomic addition without a look-up.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names of the three kinds of stanza")]
pub struct ByKind {
    pub iq: Counter,
    pub message: Counter,
    pub presence: Counter,
}

/// A counter for each value of `N` labels. It takes a lock, so it must not be used for each stanza.
#[derive(Clone, Debug)]
pub struct Labelled<const N: usize> {
    keys: [&'static str; N],
    family: Family<[(&'static str, &'static str); N], Counter>,
}

impl ByKind {
    /// The counter of `iq`, `presence`, or (for any other name) `message`.
    #[must_use]
    pub fn of(&self, name: &str) -> &Counter {
        match name {
            "iq" => &self.iq,
            "presence" => &self.presence,
            _ => &self.message,
        }
    }
}

impl<const N: usize> Labelled<N> {
    fn new(keys: [&'static str; N]) -> Self {
        Self { keys, family: Family::default() }
    }

    /// Adds one to the counter with these values, in the order of the labels.
    pub fn inc(&self, values: [&'static str; N]) {
        self.counter(values).inc();
    }

    /// The counter for these values. Keep it if it is used often.
    #[must_use]
    pub fn counter(&self, values: [&'static str; N]) -> Counter {
        let labels = std::array::from_fn(|i| (self.keys[i], values[i]));
        self.family.get_or_create_owned(&labels)
    }
}

/// Registers a metric and adds it to the list.
pub(super) struct Register {
    pub(super) registry: Registry,
    pub(super) list: Vec<(String, &'static str, &'static str)>,
}

impl Register {
    pub(super) fn new() -> Self {
        Self { registry: Registry::with_prefix(PREFIX), list: Vec::new() }
    }

    /// Adds a metric. `unit` becomes the end of its name.
    pub(super) fn add<M: Metric + Clone>(
        &mut self,
        name: &'static str,
        unit: Option<Unit>,
        help: &'static str,
        metric: M,
    ) -> M {
        let (suffix, shown) = match &unit {
            Some(Unit::Bytes) => ("_bytes", "bytes"),
            Some(Unit::Seconds) => ("_seconds", "seconds"),
            _ => ("", ""),
        };
        self.list.push((format!("{PREFIX}_{name}{suffix}"), shown, help));
        match unit {
            Some(unit) => self.registry.register_with_unit(name, help, unit, metric.clone()),
            None => self.registry.register(name, help, metric.clone()),
        }
        metric
    }

    /// The exported name of a counter ends with `_total`.
    pub(super) fn counter_of(
        &mut self,
        name: &'static str,
        unit: Option<Unit>,
        help: &'static str,
    ) -> Counter {
        let counter = self.add(name, unit, help, Counter::default());
        self.mark_total();
        counter
    }

    pub(super) fn counter(&mut self, name: &'static str, help: &'static str) -> Counter {
        self.counter_of(name, None, help)
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str) -> Gauge {
        self.add(name, None, help, Gauge::default())
    }

    pub(super) fn labelled<const N: usize>(
        &mut self,
        name: &'static str,
        keys: [&'static str; N],
        help: &'static str,
    ) -> Labelled<N> {
        let labelled = Labelled::new(keys);
        self.add(name, None, help, labelled.family.clone());
        self.mark_total();
        labelled
    }

    pub(super) fn by_kind(&mut self, name: &'static str, help: &'static str) -> ByKind {
        let kinds = self.labelled(name, ["kind"], help);
        ByKind {
            iq: kinds.counter(["iq"]),
            message: kinds.counter(["message"]),
            presence: kinds.counter(["presence"]),
        }
    }

    fn mark_total(&mut self) {
        if let Some((name, _, _)) = self.list.last_mut() {
            name.push_str("_total");
        }
    }
}

/// The beginning of each name.
const PREFIX: &str = "waxwing";
