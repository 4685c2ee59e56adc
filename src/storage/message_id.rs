//! The number of a message: 64 bits that grow.
//!
//! Both archives of one message know it by the same number. On the wire stands a permutation of it
//! ([`super::WireIds`]), as nobody may guess the ids of an archive (XEP-0313 §3).

use crate::payload::datetime::Timestamp;

/// The number of a message: the microsecond in which it was taken, or the last number plus one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MessageId(i64);

impl MessageId {
    /// From its number; `None` for what is none (0 and below).
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

/// Makes numbers. They never go back, even if the clock does, nor come again after a restart.
#[derive(Debug)]
pub struct Ids {
    last: i64,
}

impl Ids {
    /// Goes on behind the highest number that was ever given.
    #[must_use]
    pub fn after(last: i64) -> Self {
        Self { last: last.max(0) }
    }

    /// The last number that was given, now or before.
    #[must_use]
    pub fn newest(&self) -> Option<MessageId> {
        MessageId::new(self.last)
    }

    /// The number of a message taken at `at`: not below its microseconds, and above all before.
    pub fn next(&mut self, at: Timestamp) -> MessageId {
        self.last = at.as_micros().min(YEAR_9999).max(self.last + 1);
        MessageId(self.last)
    }
}

/// No clock is right beyond; leaves more numbers than can be used up.
const YEAR_9999: i64 = 253_402_300_799_999_999;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_grow_whatever_the_clock_does(
            last in prop_oneof![Just(0_i64), 0..YEAR_9999],
            clock in prop::collection::vec(any::<i64>(), 1..200),
        ) {
            let mut ids = Ids::after(last);
            let mut before = last;
            for micros in clock {
                let id = ids.next(Timestamp::from_micros(micros)).get();
                prop_assert!(id > before);
                prop_assert!(id >= micros.min(YEAR_9999));
                prop_assert!(id == before + 1 || id == micros.min(YEAR_9999));
                prop_assert_eq!(MessageId::new(id).map(MessageId::get), Some(id));
                before = id;
            }
        }
    }

    #[test]
    fn nothing_below_one_is_a_number() {
        assert!(MessageId::new(0).is_none() && MessageId::new(-1).is_none());
        assert_eq!(Ids::after(-5).next(Timestamp::from_micros(-9)).get(), 1);
    }
}
