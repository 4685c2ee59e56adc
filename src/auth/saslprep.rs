//! SASLprep (RFC 4013), which also accepts characters newer than Unicode 3.2, such as emoji.
//!
//! RFC 4013 §2.5 forbids these characters in stored strings and allows them in queries, which clients
//! send. RFC 8265 §4.2 (OpaqueString) allows them in both. A newer character is accepted if no version of
//! Unicode changes it: then all programs send the same bytes.

use std::borrow::Cow;

use stringprep::tables;
use unicode_normalization::UnicodeNormalization as _;

use crate::jid::{has_wrong_direction, is_prohibited};

/// Why a text cannot be prepared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unfit {
    /// It contains a character newer than Unicode 3.2 that programs normalise in different ways.
    Ambiguous(char),
    /// It mixes text from right to left with other text (RFC 3454 §6).
    Direction,
    /// It contains a character that RFC 4013 §2.3 forbids.
    Prohibited(char),
}

/// Prepares a password. The result may be empty.
pub(super) fn saslprep(text: &str) -> Result<Cow<'_, str>, Unfit> {
    if text.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
        return Ok(Cow::Borrowed(text));
    }
    // RFC 4013 §2.1
    let spaced = |c| if tables::non_ascii_space_character(c) { ' ' } else { c };
    let mapped = text.chars().map(spaced).filter(|c| !tables::commonly_mapped_to_nothing(*c));
    let mapped: String = mapped.collect();
    // RFC 4013 §2.2
    let prepared: String = mapped.nfkc().collect();
    // RFC 4013 §2.3
    if let Some(c) = prepared.chars().find(|c| is_prohibited(*c)) {
        return Err(Unfit::Prohibited(c));
    }
    if let Some(newer) = mapped.chars().find(|c| tables::unassigned_code_point(*c))
        && normalized_by_unicode_3_2(&mapped) != prepared
    {
        return Err(Unfit::Ambiguous(newer));
    }
    // RFC 4013 §2.4
    if has_wrong_direction(&prepared) {
        return Err(Unfit::Direction);
    }
    Ok(Cow::Owned(prepared))
}

/// NFKC as a program does it that does not know newer characters: they stay unchanged, and nothing is
/// composed with them or moved across them.
fn normalized_by_unicode_3_2(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for part in text.split_inclusive(tables::unassigned_code_point) {
        let newer = part.chars().next_back().filter(|c| tables::unassigned_code_point(*c));
        let known = &part[..part.len() - newer.map_or(0, char::len_utf8)];
        out.extend(known.nfkc());
        out.extend(newer);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Unfit, saslprep};

    #[test]
    fn the_examples_of_rfc_4013() {
        for (text, prepared) in [
            ("I\u{ad}X", Ok("IX")),
            ("user", Ok("user")),
            ("USER", Ok("USER")),
            ("\u{aa}", Ok("a")),
            ("\u{2168}", Ok("IX")),
            ("\u{7}", Err(Unfit::Prohibited('\u{7}'))),
            ("\u{627}1", Err(Unfit::Direction)),
        ] {
            assert_eq!(saslprep(text).as_deref(), prepared.as_deref(), "{text:?}");
        }
    }

    #[test]
    fn newer_characters_are_taken_if_every_program_writes_them_alike() {
        for (text, prepared) in [
            ("pass😀word", "pass😀word"),
            ("👍\u{1f3fd}", "👍\u{1f3fd}"),
            ("\u{1f1e9}\u{1f1ea}", "\u{1f1e9}\u{1f1ea}"),
            ("e\u{301}😀", "é😀"),
            ("ﬁ🦊", "fi🦊"),
            ("ẞ", "ẞ"),
            // Joiners and variation selectors are removed (RFC 3454 table B.1).
            ("❤\u{fe0f}", "❤"),
            ("👩\u{200d}🚀", "👩🚀"),
        ] {
            assert_eq!(saslprep(text).as_deref(), Ok(prepared), "{text:?}");
        }
    }

    #[test]
    fn newer_characters_that_programs_write_in_two_ways_are_refused() {
        // A sign that becomes two letters, a combining mark that moves across another one, a composition.
        for (text, newer) in [
            ("a\u{32ff}", '\u{32ff}'),
            ("🄰", '🄰'),
            ("a\u{1ab7}\u{301}", '\u{1ab7}'),
            ("\u{11099}\u{110ba}", '\u{11099}'),
        ] {
            assert_eq!(saslprep(text), Err(Unfit::Ambiguous(newer)), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_the_library_takes_is_taken_alike(text: String) {
            if let Ok(prepared) = stringprep::saslprep(&text) {
                let is_alike = saslprep(&text) == Ok(prepared);
                let has_newer = text.chars().any(stringprep::tables::unassigned_code_point);
                prop_assert!(is_alike || has_newer);
            }
        }
    }
}
