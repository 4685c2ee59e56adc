//! The id of a message: 63 bits that grow with time.
//!
//! The upper 53 bits are the microseconds since 1970 in which the message was taken, the lower 10 the
//! node that took it ([`super::NodeNumber`]). Both archives of a message know it by the same id. What is
//! sent to clients is a keyed permutation of it ([`super::WireIds`]), because nobody may guess the ids of
//! an archive (XEP-0313 §3).

use super::node::{self, MAX_COUNTER, NodeNumber};
use crate::payload::datetime::Timestamp;

/// The id of a message. Ids of one node grow in the order in which it takes messages.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MessageId(i64);

impl MessageId {
    /// From its number. `None` for 0 and below.
    #[must_use]
    pub const fn new(number: i64) -> Option<Self> {
        if number > 0 { Some(Self(number)) } else { None }
    }

    /// The number, above 0.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// Makes the ids of one node. They never go back, even if the clock does, and none comes again after a
/// restart.
#[derive(Debug)]
pub(super) struct Ids {
    node: NodeNumber,
    /// The microsecond of the last id.
    last: i64,
}

impl Ids {
    /// Goes on after `last`, the highest id that the store has ever seen, or 0.
    pub(super) fn after(last: i64, clock: IdClock, node: NodeNumber) -> Self {
        Self { node, last: clock.latest(last).max(0) }
    }

    /// An id that is not below any id that this node has made. `None` if it has made none.
    pub(super) fn newest(&self) -> Option<MessageId> {
        if self.last > 0 { MessageId::new(self.node.number(self.last)) } else { None }
    }

    /// The id of a message taken at `at`: not below that microsecond, and above all before.
    pub(super) fn next(&mut self, at: Timestamp) -> MessageId {
        self.last = at.as_micros().min(LATEST).max(self.last + 1);
        MessageId(self.node.number(self.last))
    }

    /// Makes all later ids higher than this one.
    pub(super) fn raise(&mut self, above: MessageId) {
        self.last = self.last.max(node::counter(above.0));
    }

    /// All ids that will be made are above this one.
    pub(super) fn floor(&self) -> i64 {
        self.node.number(self.last + 1) - 1
    }
}

/// How ids and times belong together in one store. A range of time is a range of ids, and no index by
/// time is needed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IdClock {
    /// Ids up to this one are microseconds without a node: the store is older than nodes. 0 in others.
    pub(super) nodeless: i64,
    /// An id is at most this many microseconds ahead of the time in which its message was taken. It is
    /// ahead after the clock of a node has gone back.
    pub(super) lag: i64,
}

/// The lag of a store, in microseconds, unless it has stored a larger one.
pub(super) const LEAST_LAG: i64 = 1 << 20;

impl IdClock {
    /// Messages taken at this microsecond or later have this id or a higher one.
    pub(super) fn lowest(self, micros: i64) -> i64 {
        if micros > self.nodeless { first_of(micros) } else { micros }
    }

    /// Messages taken at this microsecond or earlier have this id or a lower one.
    pub(super) fn highest(self, micros: i64) -> i64 {
        let last = micros.saturating_add(self.lag);
        if last > self.nodeless { first_of(last.saturating_add(1)).saturating_sub(1) } else { last }
    }

    /// Messages with this id or a higher one were taken at this microsecond or later.
    pub(super) fn earliest(self, id: i64) -> i64 {
        self.latest(id).saturating_sub(self.lag)
    }

    /// Messages with this id or a lower one were taken at this microsecond or earlier.
    pub(super) fn latest(self, id: i64) -> i64 {
        if id > self.nodeless { node::counter(id).max(self.nodeless) } else { id }
    }
}

/// The lowest id of this microsecond. The bounds of a range may be beyond any clock.
fn first_of(micros: i64) -> i64 {
    if micros > MAX_COUNTER { i64::MAX } else { NodeNumber::default().number(micros) }
}

/// No clock is right beyond (the year 2255), and 10^12 ids are left after it.
const LATEST: i64 = MAX_COUNTER - (1 << 40);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// Times from one second to 1973, from 1970 to the end, and whatever a broken clock says.
    fn times() -> impl Strategy<Value = i64> {
        prop_oneof![1_000_000..1_000_100_i64, 0..100_000_000_000_000_i64, any::<i64>()]
    }

    proptest! {
        #[test]
        fn ids_of_a_node_grow_whatever_the_clock_does(
            last in prop_oneof![Just(0_i64), 0..NodeNumber::default().number(LATEST)],
            clock in prop::collection::vec(times(), 1..200),
        ) {
            let node = NodeNumber::new(7).unwrap();
            let mut ids = Ids::after(last, IdClock::default(), node);
            let mut before = last;
            for micros in clock {
                let floor = ids.floor();
                let id = ids.next(Timestamp::from_micros(micros)).get();
                prop_assert!(id > before && id > floor);
                prop_assert_eq!(id & 1023, 7);
                let taken = micros.clamp(0, LATEST);
                let counter = node::counter(id);
                prop_assert!(counter == taken || counter == node::counter(before) + 1);
                prop_assert!(counter >= taken);
                prop_assert_eq!(ids.newest(), MessageId::new(id));
                before = id;
            }
        }

        #[test]
        fn two_nodes_never_make_the_same_id_and_time_decides_about_the_order(
            clock in prop::collection::vec((any::<bool>(), times()), 1..200),
        ) {
            let clocks = IdClock::default();
            let mut nodes = [3, 4].map(|n| Ids::after(0, clocks, NodeNumber::new(n).unwrap()));
            let mut seen = HashSet::new();
            let mut taken = Vec::new();
            for (second, micros) in clock {
                let id = nodes[usize::from(second)].next(Timestamp::from_micros(micros)).get();
                prop_assert!(seen.insert(id), "{id} was made twice");
                taken.push((node::counter(id), second, id));
            }
            taken.sort_unstable();
            prop_assert!(taken.is_sorted_by(|a, b| a.2 < b.2));
        }

        /// In a store that is older than nodes, too: the ids that it has are bounded by `nodeless`.
        #[test]
        fn a_time_is_a_range_of_ids(
            old in prop::collection::vec(1_000_000..1_000_100_i64, 0..50),
            new in prop::collection::vec((0..1024_u16, 1_000_000..1_000_200_i64), 1..50),
            asked in 999_900..1_000_300_i64,
            asked_id in prop_oneof![1_000_000..1_000_200_i64, 1_024_000_000..1_024_204_800_i64],
        ) {
            let (mut rows, mut last) = (Vec::new(), 0);
            for at in old {
                last = at.max(last + 1);
                rows.push((at, last));
            }
            let mut clock = IdClock { nodeless: last, lag: 0 };
            let node = |n| Ids::after(last, clock, NodeNumber::new(n).unwrap());
            let mut nodes: Vec<Ids> = (0..1024).map(node).collect();
            for (n, at) in new {
                let id = nodes[usize::from(n)].next(Timestamp::from_micros(at)).get();
                prop_assert!(id > last);
                rows.push((at, id));
            }
            let ahead = |(at, id): &(i64, i64)| {
                (if *id > last { node::counter(*id) } else { *id }) - at
            };
            clock.lag = rows.iter().map(ahead).max().unwrap();
            for (at, id) in rows {
                prop_assert!(at < asked || id >= clock.lowest(asked));
                prop_assert!(at > asked || id <= clock.highest(asked));
                prop_assert!(id < asked_id || at >= clock.earliest(asked_id));
                prop_assert!(id > asked_id || at <= clock.latest(asked_id));
            }
        }
    }

    #[test]
    fn a_range_is_as_narrow_as_it_can_be() {
        let clock = IdClock { nodeless: 0, lag: 2 };
        assert_eq!(clock.lowest(10), 10 << 10);
        assert_eq!(clock.highest(10), (13 << 10) - 1);
        assert_eq!((clock.earliest(13 << 10), clock.latest(13 << 10)), (11, 13));
        let upgraded = IdClock { nodeless: 100, lag: 2 };
        assert_eq!((upgraded.lowest(10), upgraded.lowest(101)), (10, 101 << 10));
        assert_eq!((upgraded.highest(98), upgraded.highest(99)), (100, (102 << 10) - 1));
        assert_eq!((clock.lowest(i64::MIN), clock.highest(i64::MAX)), (i64::MIN, i64::MAX - 1));
    }

    #[test]
    fn nothing_below_one_is_an_id() {
        assert!(MessageId::new(0).is_none() && MessageId::new(-1).is_none());
        let mut ids = Ids::after(-5, IdClock::default(), NodeNumber::default());
        assert_eq!(ids.newest(), None);
        assert_eq!(ids.next(Timestamp::from_micros(-9)).get(), 1 << 10);
    }

    #[test]
    fn an_id_that_was_seen_is_not_made_again() {
        let mut ids = Ids::after(0, IdClock::default(), NodeNumber::default());
        ids.raise(MessageId::new(50 << 10 | 1023).unwrap());
        assert_eq!(ids.next(Timestamp::from_micros(20)).get(), 51 << 10);
    }
}
