//! Nodes: servers that share one database.
//!
//! A node makes ids of messages and numbers of sessions without asking the others. The lowest bits of
//! such a number are the number of the node, so that two nodes never make the same one
//! (docs/decisions/0014-many-writers.md).

/// The number of a node, from 0 to 1023. A server that has a database for itself is node 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeNumber(u16);

impl NodeNumber {
    /// `None` if the number is above 1023.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number < 1 << BITS { Some(Self(number)) } else { None }
    }

    /// From 0 to 1023.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// A number that only this node makes. `counter` is at most [`MAX_COUNTER`], and higher than any
    /// counter that the node has used before.
    pub(super) const fn number(self, counter: i64) -> i64 {
        counter << BITS | self.0 as i64
    }

    /// Whether this node makes such a number.
    pub(super) const fn has_made(self, number: i64) -> bool {
        number & ((1 << BITS) - 1) == self.0 as i64
    }
}

/// The counter of a number that some node has made.
pub(super) const fn counter(number: i64) -> i64 {
    number >> BITS
}

/// Bits of a number that say which node has made it.
const BITS: u32 = 10;

/// The highest counter: a number has 63 bits. In microseconds since 1970 this is the year 2255.
pub(super) const MAX_COUNTER: i64 = i64::MAX >> BITS;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_of_two_nodes_never_collide(
            (node, other) in (0..1024_u16, 0..1024_u16),
            (counter, others) in (0..=MAX_COUNTER, 0..=MAX_COUNTER),
        ) {
            let (node, other) = (NodeNumber::new(node).unwrap(), NodeNumber::new(other).unwrap());
            let (number, another) = (node.number(counter), other.number(others));
            prop_assert_eq!(number == another, (node, counter) == (other, others));
            prop_assert_eq!(super::counter(number), counter);
            prop_assert!(number >= 0 && node.has_made(number));
            prop_assert_eq!(node.has_made(another), node == other);
            // The counter decides about the order; the node only where counters are the same.
            prop_assert_eq!(number < another, (counter, node) < (others, other));
        }
    }

    #[test]
    fn there_are_1024_nodes() {
        assert_eq!(NodeNumber::new(1023).map(NodeNumber::get), Some(1023));
        assert_eq!(NodeNumber::new(1024), None);
    }
}
