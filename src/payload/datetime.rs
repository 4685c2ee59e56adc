//! XEP-0082: dates and times as XMPP writes them, in UTC.

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since 1970.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Reads an XEP-0082 DateTime with any offset; `None` if the text is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?;
        Some(Self((moment.unix_timestamp_nanos() / 1000) as i64))
    }
}

/// `2026-11-20T08:09:10.123Z`: UTC with milliseconds (XEP-0082 §3.2).
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        f.write_str(&moment.format(format).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn a_moment_is_written_in_utc_and_read_with_any_offset() {
        let moment = Timestamp::from_micros(1_795_161_600_123_000);
        assert_eq!(moment.to_string(), "2026-11-20T08:00:00.123Z");
        assert_eq!(Timestamp::parse("2026-11-20T08:00:00.123Z"), Some(moment));
        assert_eq!(Timestamp::parse("2026-11-20T10:00:00.123+02:00"), Some(moment));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}
