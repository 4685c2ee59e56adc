//! The segment that grows, as the writer remembers it. `archive_segments.rs` says what segments are.

use rustc_hash::FxHashSet;

/// The segment to which new rows of all archives go.
#[derive(Debug, Default)]
pub(super) struct GrowingSegment {
    number: i64,
    rows: usize,
    /// Owners that have rows in it. All others must be entered in the index first.
    owners: FxHashSet<i64>,
}

impl GrowingSegment {
    /// A segment that has rows already: the owners with the numbers of their rows.
    pub(super) fn with_rows(number: i64, rows: &[(i64, i64)]) -> Self {
        Self {
            number,
            rows: rows.iter().map(|(_, count)| count.unsigned_abs() as usize).sum(),
            owners: rows.iter().map(|(owner, _)| *owner).collect(),
        }
    }

    /// The next segment, without rows.
    pub(super) fn next(&self) -> Self {
        Self { number: self.number + 1, ..Self::default() }
    }

    /// Adds a row. Returns whether it is the first row of its owner.
    pub(super) fn add_row(&mut self, owner: i64) -> bool {
        self.rows += 1;
        self.owners.insert(owner)
    }

    /// All rows of an owner were deleted. They still count as rows, which makes the segment full earlier.
    pub(super) fn remove_owner(&mut self, owner: i64) {
        self.owners.remove(&owner);
    }

    /// The next row belongs to the next segment.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= MIN_ROWS
            && (self.rows >= self.owners.len() * MIN_ROWS_OF_OWNER || self.rows >= MAX_ROWS)
    }

    pub(super) fn number(&self) -> i64 {
        self.number
    }

    /// The number of the volume to which it belongs.
    pub(super) fn volume(&self) -> i64 {
        self.number / SEGMENTS_OF_VOLUME
    }

    pub(super) fn is_first_of_volume(&self) -> bool {
        self.number % SEGMENTS_OF_VOLUME == 0
    }
}

/// A segment has at least this number of rows: two megabytes.
const MIN_ROWS: usize = if cfg!(test) { 24 } else { 32_768 };
/// A segment has at least this number of rows for each owner that has any in it,
const MIN_ROWS_OF_OWNER: usize = if cfg!(test) { 6 } else { 16 };
/// but not more than this number in all.
const MAX_ROWS: usize = if cfg!(test) { 60 } else { 1 << 22 };
/// How many segments a volume has.
pub(super) const SEGMENTS_OF_VOLUME: i64 = if cfg!(test) { 3 } else { 16 };

#[cfg(test)]
mod tests {
    use super::*;

    /// How many rows a segment takes until it is full, if owners write in turn.
    fn rows_until_full(owners: i64) -> usize {
        let mut segment = GrowingSegment::with_rows(1, &[]);
        let mut owner = (0..owners).cycle();
        while !segment.is_full() {
            segment.add_row(owner.next().unwrap());
        }
        segment.rows
    }

    #[test]
    fn a_segment_grows_until_each_owner_has_enough_rows_in_it() {
        assert_eq!(rows_until_full(1), MIN_ROWS);
        assert_eq!(rows_until_full(5), 5 * MIN_ROWS_OF_OWNER);
        assert_eq!(rows_until_full(50), MAX_ROWS);
    }

    #[test]
    fn an_owner_is_new_once_in_each_segment() {
        let mut segment = GrowingSegment::with_rows(2, &[(7, 3)]);
        assert!(!segment.add_row(7) && segment.add_row(8) && !segment.add_row(8));
        segment.remove_owner(8);
        assert!(segment.add_row(8));
        let mut next = segment.next();
        assert_eq!((next.number(), next.volume()), (3, 1));
        assert!(next.is_first_of_volume() && next.add_row(7));
    }
}
