//! Ranges of bytes, in requests for a part of a file (RFC 9110 §14.2), and of uploads (§14.5).

/// A part of something: the first byte, and how many. Never empty.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) length: u64,
}

/// What a header `Range` asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asked {
    /// The whole: there is no such header, it is malformed, of another unit, or asks for several parts.
    All,
    /// No byte of the file.
    Nothing,
    /// One part.
    One(Part),
}

/// Reads a header `Range` about a file of this size.
pub(super) fn asked(header: &str, size: u64) -> Asked {
    let Some((unit, range)) = header.trim().split_once('=') else { return Asked::All };
    let Some((first, last)) = range.split_once('-') else { return Asked::All };
    let (first, last) = (first.trim(), last.trim());
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Asked::All;
    }
    match (first, number(first), last, number(last)) {
        ("", _, _, Some(count)) => part(size.saturating_sub(count), size.min(count), size),
        (_, Some(first), "", _) => part(first, size.saturating_sub(first), size),
        (_, Some(first), _, Some(last)) if first <= last => {
            part(first, last.min(size.saturating_sub(1)).saturating_sub(first) + 1, size)
        }
        _ => Asked::All,
    }
}

fn part(start: u64, length: u64, size: u64) -> Asked {
    match start < size && length > 0 {
        true => Asked::One(Part { start, length }),
        false => Asked::Nothing,
    }
}

/// Reads a header `Content-Range` of an upload with this size: `bytes 5-9/10`. `None` if it is wrong.
pub(super) fn content_range(header: &str, size: u64) -> Option<Part> {
    let (unit, rest) = header.trim().split_once(' ')?;
    let (range, whole) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let is_right = unit.eq_ignore_ascii_case("bytes")
        && (whole == "*" || number(whole) == Some(size))
        && first <= last
        && last < size;
    is_right.then(|| Part { start: first, length: last - first + 1 })
}

/// A number in decimal digits. One that is too large is the largest.
pub(super) fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(start: u64, length: u64) -> Asked {
        Asked::One(Part { start, length })
    }

    #[test]
    fn ranges_are_read_as_their_specification_says() {
        for (header, expected) in [
            ("bytes=0-499", one(0, 10)),
            ("bytes=2-4", one(2, 3)),
            ("bytes=9-9", one(9, 1)),
            ("bytes=5-", one(5, 5)),
            ("bytes=-3", one(7, 3)),
            ("bytes=-99", one(0, 10)),
            ("Bytes = 0 - 1", one(0, 2)),
            ("bytes=0-99999999999999999999999", one(0, 10)),
            ("bytes=-99999999999999999999999", one(0, 10)),
            ("bytes=10-", Asked::Nothing),
            ("bytes=10-20", Asked::Nothing),
            ("bytes=99999999999999999999999-", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=4-2", Asked::All),
            ("bytes=--1", Asked::All),
            ("bytes=-1-2", Asked::All),
            ("bytes=+1-2", Asked::All),
            ("bytes=1.0-2", Asked::All),
            ("bytes=0-1,3-4", Asked::All),
            ("bytes=-", Asked::All),
            ("bytes=", Asked::All),
            ("bytes", Asked::All),
            ("", Asked::All),
            ("items=0-1", Asked::All),
            ("bytes=٣-٤", Asked::All),
        ] {
            assert_eq!(asked(header, 10), expected, "{header}");
        }
    }

    #[test]
    fn a_piece_of_an_upload_is_within_it() {
        let piece = |start, length| Some(Part { start, length });
        for (header, expected) in [
            ("bytes 0-9/10", piece(0, 10)),
            ("bytes 5-9/*", piece(5, 5)),
            ("bytes 5-5/10", piece(5, 1)),
            ("bytes 5-10/10", None),
            ("bytes 5-9/11", None),
            ("bytes 9-5/10", None),
            ("bytes -5-9/10", None),
            ("bytes */10", None),
            ("bytes 5-/10", None),
            ("items 5-9/10", None),
            ("bytes=5-9/10", None),
            ("", None),
        ] {
            assert_eq!(content_range(header, 10), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn a_part_is_never_outside_the_file(
            header in "(bytes=)?[-0-9, ]{0,30}|.*", first: u64, last: u64, size: u64,
        ) {
            for header in [header, format!("bytes={first}-{last}"), format!("bytes=-{last}")] {
                if let Asked::One(Part { start, length }) = asked(&header, size) {
                    prop_assert!(length > 0 && start < size && length <= size - start);
                }
                if let Some(Part { start, length }) = content_range(&header, size) {
                    prop_assert!(length > 0 && start < size && length <= size - start);
                }
            }
        }

        #[test]
        fn each_part_is_found_as_it_was_asked(size in 1..u64::MAX, a: u64, b: u64) {
            let (first, last) = (a.min(b) % size, a.max(b) % size);
            let (first, last) = (first.min(last), first.max(last));
            let part = Part { start: first, length: last - first + 1 };
            prop_assert_eq!(asked(&format!("bytes={first}-{last}"), size), Asked::One(part));
            let header = format!("bytes {first}-{last}/{size}");
            prop_assert_eq!(content_range(&header, size), Some(part));
        }
    }
}
