//! What an account was given slots for in a day (XEP-0363): bytes by the hour. Rows of hours are few, whatever the
//! number of files is, and a slot that is given up is subtracted from its own hour.

use crate::payload::datetime::Timestamp;

/// The bytes for which an account was given slots: in the current hour, and in the 23 before it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UploadDay(Vec<(i64, u64)>);

impl UploadDay {
    /// From hours and their bytes, the oldest first.
    pub(super) fn new(hours: Vec<(i64, u64)>) -> Self {
        Self(hours)
    }

    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, bytes)| *bytes).fold(0, u64::saturating_add)
    }

    /// When so many bytes fit into a day of so many, if no slot is given or given up meanwhile. `None`: they never do.
    #[must_use]
    pub fn room_at(&self, size: u64, per_day: u64) -> Option<Timestamp> {
        let mut used = self.bytes();
        self.0.iter().find_map(|(hour, bytes)| {
            used -= bytes;
            let fits = used.saturating_add(size) <= per_day;
            fits.then(|| Timestamp::from_micros((hour + HOURS) * MICROS_OF_HOUR))
        })
    }

    /// Whether so many bytes fit into a day of so many.
    pub(super) fn has_room(&self, size: u64, per_day: u64) -> bool {
        self.bytes().saturating_add(size) <= per_day
    }
}

/// The hour of a moment, counted from 1970.
pub(super) fn hour(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(MICROS_OF_HOUR)
}

/// The last hour that counts no more.
pub(super) fn last_forgotten(now: Timestamp) -> i64 {
    hour(now) - HOURS
}

/// The limit on what an account uploads in a day, as [`StorageError::Limit`](super::StorageError::Limit) names it.
pub const UPLOAD_DAY: &str = "uploads of a day";
const HOURS: i64 = 24;
const MICROS_OF_HOUR: i64 = 3_600_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_comes_back_hour_by_hour() {
        let day = UploadDay::new(vec![(100, 5), (101, 20), (110, 10)]);
        let at = |hour: i64| Some(Timestamp::from_micros(hour * MICROS_OF_HOUR));
        assert_eq!(day.bytes(), 35);
        assert!(day.has_room(5, 40) && !day.has_room(6, 40));
        for (size, when) in [(6, at(124)), (10, at(124)), (11, at(125)), (31, at(134)), (41, None)]
        {
            assert_eq!(day.room_at(size, 40), when, "{size}");
        }
        assert_eq!(UploadDay::default().room_at(u64::MAX, 1), None);
    }

    #[test]
    fn an_hour_begins_with_its_first_moment() {
        let of = |micros| hour(Timestamp::from_micros(micros));
        assert_eq!([of(-1), of(0), of(MICROS_OF_HOUR - 1), of(MICROS_OF_HOUR)], [-1, 0, 0, 1]);
        assert_eq!(last_forgotten(Timestamp::from_micros(30 * MICROS_OF_HOUR)), 6);
    }
}
