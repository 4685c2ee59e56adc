//! Sizes and durations as people write them: `"64 KiB"`, `"30s"`, `"3 min"`.
//!
//! Only whole numbers are allowed, and the case of units matters: `Mb` could be a megabit, and `m` a
//! metre, a minute or a month. The error says what to write; nothing is guessed. A duration needs a
//! unit, because `30` could be seconds or days. A size without a unit is in bytes.

use std::time::Duration;

/// 1024 bytes.
pub const KIB: usize = 1 << 10;
/// 1024 KiB.
pub const MIB: usize = 1 << 20;
/// 1024 MiB.
pub const GIB: usize = 1 << 30;

/// A number of seconds.
pub(super) const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// A number of minutes.
pub(super) const fn minutes(number: u64) -> Duration {
    Duration::from_secs(number * 60)
}

/// A number of days.
pub(super) const fn days(number: u64) -> Duration {
    Duration::from_secs(number * 24 * 3600)
}

/// Reads a size in bytes: a whole number and one of the units B, KB, KiB, MB, MiB, GB, GiB, with
/// or without a space between them. A number without a unit is in bytes.
///
/// # Errors
/// A sentence that says what to write instead.
pub fn parse_size(text: &str) -> Result<u64, String> {
    parse(text, SIZES, "64 KiB", |number| match number.parse() {
        Ok(bytes) => Ok(bytes),
        Err(_) => Err("write a smaller number".to_owned()),
    })
}

/// Reads a duration: a whole number and one of the units ms, s, min, h, d, w, y (365 days). Only 0
/// needs no unit.
///
/// # Errors
/// A sentence that says what to write instead.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    parse(text, DURATIONS, "30s", no_unit).map(Duration::from_millis)
}

/// Reads a duration without a unit. Only 0 is allowed.
///
/// # Errors
/// A sentence that says what to write instead.
pub(super) fn no_unit(number: &str) -> Result<u64, String> {
    if number.bytes().all(|digit| digit == b'0') {
        return Ok(0);
    }
    Err(format!("write the unit, too: \"{number} d\" means days, \"{number} s\" seconds"))
}

/// Writes a size with the largest unit that leaves a whole number.
#[must_use]
pub fn display_size(bytes: u64) -> String {
    display(bytes, SIZES)
}

/// Writes a duration with the largest unit up to days that leaves a whole number. Parts of a
/// millisecond are lost.
#[must_use]
pub fn display_duration(duration: Duration) -> String {
    // People write "28 d", not "4 w".
    display(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &DURATIONS[UP_TO_DAYS..])
}

/// Whether a retention is so short that it is probably a mistake: less than a day, but not 0, which
/// means forever.
#[must_use]
pub fn is_short(retention: Duration) -> bool {
    !retention.is_zero() && retention < days(1)
}

type Unit = (&'static str, u64);

fn parse(
    text: &str,
    units: &[Unit],
    example: &str,
    bare: impl Fn(&str) -> Result<u64, String>,
) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(format!("write a whole number and a unit, for example \"{example}\""));
    }
    let unit = unit.trim_start();
    if unit.is_empty() {
        return bare(number);
    }
    if units == DURATIONS && ["mo", "month", "months"].contains(&&*unit.to_lowercase()) {
        return Err("a month has no fixed length: write it in days or weeks".to_owned());
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(match meant(unit, units) {
            Some(meant) => format!("write \"{number} {meant}\""),
            None => {
                let names: Vec<_> = units.iter().rev().map(|(name, _)| *name).collect();
                format!("the units are {}; for example \"{example}\"", names.join(", "))
            }
        });
    };
    let number = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor));
    number.ok_or_else(|| "write a smaller number".to_owned())
}

/// The unit that is meant in texts such as `64k` or `3 minutes`.
fn meant(unit: &str, units: &[Unit]) -> Option<&'static str> {
    let unit = unit.to_ascii_lowercase();
    let word = match unit.as_str() {
        "k" => "kib",
        "m" if units == SIZES => "mib",
        "g" => "gib",
        "byte" | "bytes" => "b",
        "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "mins" | "minute" | "minutes" => "min",
        "hr" | "hour" | "hours" => "h",
        "day" | "days" => "d",
        "wk" | "week" | "weeks" => "w",
        "yr" | "year" | "years" => "y",
        "msec" | "millis" | "milliseconds" => "ms",
        other => other,
    };
    units.iter().map(|(name, _)| *name).find(|name| name.eq_ignore_ascii_case(word))
}

fn display(number: u64, units: &[Unit]) -> String {
    let fits = |(_, factor): &&Unit| number >= *factor && number.is_multiple_of(*factor);
    // The last unit is the smallest one that is shown. Zero has this unit.
    let (name, factor) = units.iter().find(fits).unwrap_or(match units == SIZES {
        true => &("B", 1),
        false => &("s", 1000),
    });
    format!("{} {name}", number / factor)
}

/// The largest unit comes first. Powers of two come before powers of ten, as 64 KiB is not a round
/// number of KB.
const SIZES: &[Unit] = &[
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1000),
    ("B", 1),
];

/// In milliseconds. The largest unit comes first.
const DURATIONS: &[Unit] = &[
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("min", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// The index of the first unit that is used for output.
const UP_TO_DAYS: usize = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read() {
        let table: &[(&str, u64)] = &[
            ("0", 0),
            ("17", 17),
            ("17 B", 17),
            ("64 KiB", 65_536),
            ("64KiB", 65_536),
            (" 1 MB ", 1_000_000),
            ("2 GiB", 2 << 30),
            ("10 KB", 10_000),
        ];
        for (text, bytes) in table {
            assert_eq!(parse_size(text), Ok(*bytes), "{text}");
        }
    }

    #[test]
    fn durations_are_read() {
        let table: &[(&str, u64)] = &[
            ("0", 0),
            ("00", 0),
            ("0 d", 0),
            ("30s", 30_000),
            ("3 min", 180_000),
            ("250 ms", 250),
            ("2h", 7_200_000),
            ("1 d", 86_400_000),
            ("2w", 1_209_600_000),
            ("1 y", 31_536_000_000),
        ];
        for (text, millis) in table {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(*millis)), "{text}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_write() {
        let table: &[(&str, &str)] = &[
            ("64k", "write \"64 KiB\""),
            ("1m", "write \"1 MiB\""),
            ("64 kib", "write \"64 KiB\""),
            ("5 bytes", "write \"5 B\""),
            ("KiB", "write a whole number and a unit, for example \"64 KiB\""),
            ("-1 B", "write a whole number and a unit, for example \"64 KiB\""),
            ("1.5 MiB", "the units are B, KB, KiB, MB, MiB, GB, GiB; for example \"64 KiB\""),
            ("99999999999 GiB", "write a smaller number"),
            ("99999999999999999999", "write a smaller number"),
        ];
        for (text, help) in table {
            assert_eq!(parse_size(text), Err((*help).to_owned()), "{text}");
        }
        assert_eq!(parse_duration("3m"), Err("write \"3 min\"".to_owned()));
        assert_eq!(parse_duration("3 Minutes"), Err("write \"3 min\"".to_owned()));
        assert_eq!(parse_duration("2 weeks"), Err("write \"2 w\"".to_owned()));
        for month in ["1 month", "6 mo"] {
            assert!(parse_duration(month).unwrap_err().starts_with("a month has no fixed length"));
        }
    }

    #[test]
    fn a_duration_needs_a_unit() {
        for number in ["30", "1", "99999999999999999999"] {
            let wanted =
                format!("write the unit, too: \"{number} d\" means days, \"{number} s\" seconds");
            assert_eq!(parse_duration(number), Err(wanted));
        }
    }

    #[test]
    fn the_largest_whole_unit_is_shown() {
        assert_eq!(display_size(0), "0 B");
        assert_eq!(display_size(10_000), "10 KB");
        assert_eq!(display_size(16 << 10), "16 KiB");
        assert_eq!(display_size(1 << 20), "1 MiB");
        assert_eq!(display_duration(seconds(90)), "90 s");
        assert_eq!(display_duration(minutes(3)), "3 min");
        assert_eq!(display_duration(Duration::ZERO), "0 s");
        assert_eq!(display_duration(days(28)), "28 d");
    }

    proptest! {
        #[test]
        fn a_size_shown_is_the_size_read(bytes: u64) {
            prop_assert_eq!(parse_size(&display_size(bytes)), Ok(bytes));
        }

        #[test]
        fn a_size_of_any_unit_is_the_size_read(number in 0_u64..5000, unit in 0..SIZES.len()) {
            let bytes = number * SIZES[unit].1;
            prop_assert_eq!(parse_size(&display_size(bytes)), Ok(bytes));
            prop_assert_eq!(parse_size(&format!("{number}{}", SIZES[unit].0)), Ok(bytes));
        }

        #[test]
        fn a_duration_shown_is_the_duration_read(millis: u64) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&display_duration(duration)), Ok(duration));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            drop(parse_size(&text));
            drop(parse_duration(&text));
        }
    }
}
