//! Preparation of the three parts of an address, so that equal addresses have equal texts.
//!
//! Local parts use Nodeprep and resources use Resourceprep (RFC 6122 appendices A and B, RFC 3454), like
//! the accounts of other servers. Domains use UTS #46 and are stored in their Unicode form (RFC 7622
//! §3.2). ASCII needs no tables: only text that is not ASCII, or contains `xn--`, reaches them.
//! Preparing a prepared part changes nothing. Nodeprep alone does not promise that: its tables are those
//! of Unicode 3.2, and the normalisation is newer.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use stringprep::tables;
use unicode_normalization::UnicodeNormalization as _;

use super::JidError;

/// The largest number of bytes of a part (RFC 7622 §3.1), before and after preparation.
pub(super) const PART_MAX: usize = 1023;

/// Prepares a local part (RFC 6122 appendix A): lower case, no spaces, none of `"&'/:<>@`.
pub(super) fn local(text: &str) -> Result<Cow<'_, str>, JidError> {
    check_length(text)?;
    let prepared = if text.is_ascii() { ascii_local(text)? } else { nodeprep(text)? };
    check_length(&prepared)?;
    Ok(prepared)
}

/// Prepares a domain: a name or an address literal (RFC 7622 §3.2).
///
/// One dot at the end is removed. A name that the DNS does not allow is refused, also for its length.
pub(super) fn domain(text: &str) -> Result<Cow<'_, str>, JidError> {
    check_length(text)?;
    if let Some(literal) = text.strip_prefix('[') {
        return ipv6(text, literal);
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err(JidError::Empty);
    }
    match scan_name(name)? {
        Name::Foreign => foreign_name(name).map(Cow::Owned),
        Name::Lower => Ok(Cow::Borrowed(name)),
        Name::Upper => Ok(Cow::Owned(name.to_ascii_lowercase())),
    }
}

/// Prepares a resource (RFC 6122 appendix B). Characters that are newer than Unicode 3.2 are allowed:
/// nicknames in rooms are resources, and people use emoji there.
pub(super) fn resource(text: &str) -> Result<Cow<'_, str>, JidError> {
    check_length(text)?;
    if text.is_ascii() {
        let printable = text.bytes().all(|b| (0x20..=0x7e).contains(&b));
        return if printable { Ok(Cow::Borrowed(text)) } else { Err(JidError::Forbidden) };
    }
    let prepared = resourceprep(text)?;
    check_length(&prepared)?;
    if resourceprep(&prepared)? != prepared {
        return Err(JidError::Forbidden);
    }
    Ok(Cow::Owned(prepared))
}

fn check_length(part: &str) -> Result<(), JidError> {
    match part.len() {
        0 => Err(JidError::Empty),
        1..=PART_MAX => Ok(()),
        _ => Err(JidError::TooLong),
    }
}

/// Nodeprep changes only upper case in ASCII.
fn ascii_local(text: &str) -> Result<Cow<'_, str>, JidError> {
    let mut upper = false;
    for byte in text.bytes() {
        match byte {
            b'"' | b'&' | b'\'' | b'/' | b':' | b'<' | b'>' | b'@' => {
                return Err(JidError::Forbidden);
            }
            b'A'..=b'Z' => upper = true,
            0x21..=0x7e => {}
            _ => return Err(JidError::Forbidden),
        }
    }
    Ok(if upper { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) })
}

/// Characters that are newer than Unicode 3.2 are refused before case folding, too. Otherwise 🄰 would
/// become a capital A, and two accounts would look alike.
fn nodeprep(text: &str) -> Result<Cow<'_, str>, JidError> {
    if text.chars().any(tables::unassigned_code_point) {
        return Err(JidError::Forbidden);
    }
    let prepared = stringprep::nodeprep(text).map_err(|_| JidError::Forbidden)?.into_owned();
    let again = stringprep::nodeprep(&prepared).map_err(|_| JidError::Forbidden)?;
    if again != prepared {
        return Err(JidError::Forbidden);
    }
    Ok(Cow::Owned(prepared))
}

fn resourceprep(text: &str) -> Result<String, JidError> {
    let mapped = text.chars().filter(|c| !tables::commonly_mapped_to_nothing(*c));
    let prepared: String = mapped.nfkc().collect();
    if prepared.chars().any(is_prohibited) || has_wrong_direction(&prepared) {
        return Err(JidError::Forbidden);
    }
    Ok(prepared)
}

/// Whether a character is forbidden in resources (RFC 6122 appendix B.5) and passwords (RFC 4013 §2.3).
pub(crate) fn is_prohibited(c: char) -> bool {
    tables::non_ascii_space_character(c) // C.1.2
        || tables::ascii_control_character(c) // C.2.1
        || tables::non_ascii_control_character(c) // C.2.2
        || tables::private_use(c) // C.3
        || tables::non_character_code_point(c) // C.4
        || tables::inappropriate_for_plain_text(c) // C.6
        || tables::inappropriate_for_canonical_representation(c) // C.7
        || tables::change_display_properties_or_deprecated(c) // C.8
        || tables::tagging_character(c) // C.9
}

/// RFC 3454 §6, for addresses and passwords (RFC 4013 §2.4): text from right to left contains no
/// characters from left to right, and begins and ends with a right-to-left letter.
pub(crate) fn has_wrong_direction(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(tables::bidi_r_or_al);
    text.contains(tables::bidi_r_or_al)
        && (text.contains(tables::bidi_l)
            || !edge(text.chars().next())
            || !edge(text.chars().next_back()))
}

/// What a domain name consists of.
enum Name {
    /// It is not ASCII, or contains an A-label: it needs the tables.
    Foreign,
    /// It is ASCII and prepared.
    Lower,
    /// It is ASCII with upper case letters.
    Upper,
}

/// Checks each byte of a name once: labels consist of letters, digits and hyphens, are not empty, and
/// neither begin nor end with a hyphen (RFC 5890 §2.3.1). Underscores are for service records and not for
/// hosts, and no certificate may contain one.
fn scan_name(name: &str) -> Result<Name, JidError> {
    if !name.is_ascii() {
        return Ok(Name::Foreign);
    }
    let (mut foreign, mut upper) = (false, false);
    for label in name.as_bytes().split(|b| *b == b'.') {
        match label {
            [] | [b'-', ..] | [.., b'-'] => return Err(JidError::Forbidden),
            _ if label.len() > LABEL_MAX => return Err(JidError::TooLong),
            [b'x' | b'X', b'n' | b'N', b'-', b'-', ..] => foreign = true,
            _ => {}
        }
        for byte in label {
            match byte {
                b'-' | b'0'..=b'9' | b'a'..=b'z' => {}
                b'A'..=b'Z' => upper = true,
                _ => return Err(JidError::Forbidden),
            }
        }
    }
    match (foreign, upper) {
        _ if name.len() > NAME_MAX => Err(JidError::TooLong),
        (true, _) => Ok(Name::Foreign),
        (false, true) => Ok(Name::Upper),
        (false, false) => Ok(Name::Lower),
    }
}

/// A-labels become U-labels, so that both forms of a name are equal.
fn foreign_name(name: &str) -> Result<String, JidError> {
    let once = to_unicode(name)?;
    // A full-width dot at the end has become a dot by now.
    let once = once.strip_suffix('.').unwrap_or(&once);
    if to_unicode(once)? != once {
        return Err(JidError::Forbidden);
    }
    Uts46::new()
        .to_ascii(once.as_bytes(), AsciiDenyList::STD3, HYPHENS, DnsLength::Verify)
        .map_err(|_| JidError::Forbidden)?;
    Ok(once.to_owned())
}

fn to_unicode(name: &str) -> Result<Cow<'_, str>, JidError> {
    let (text, result) = Uts46::new().to_unicode(name.as_bytes(), AsciiDenyList::STD3, HYPHENS);
    result.map_err(|_| JidError::Forbidden)?;
    Ok(text)
}

/// An IPv6 literal such as `[::1]`, in the form of RFC 5952.
fn ipv6<'a>(text: &'a str, literal: &str) -> Result<Cow<'a, str>, JidError> {
    let address = literal.strip_suffix(']').ok_or(JidError::Forbidden)?;
    let address: Ipv6Addr = address.parse().map_err(|_| JidError::Forbidden)?;
    let prepared = format!("[{address}]");
    Ok(if prepared == text { Cow::Borrowed(text) } else { Cow::Owned(prepared) })
}

/// RFC 5890 leaves hyphens in the third and fourth place to the registries: `r3---sn` is a valid name.
const HYPHENS: Hyphens = Hyphens::CheckFirstLast;
/// The largest number of bytes of a label (RFC 1035 §2.3.4).
const LABEL_MAX: usize = 63;
/// The largest number of bytes of a name as it is written, without the last dot (RFC 1035 §2.3.4).
const NAME_MAX: usize = 253;
