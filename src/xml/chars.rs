//! The characters, names and references that XML 1.0 allows.
//!
//! Names are NCNames (Namespaces in XML §3): they contain no colon. A table decides for ASCII, the ranges
//! of XML 1.0 §2.3 for all other characters.

use std::str::from_utf8;

use memchr::{memchr, memchr_iter, memmem};

use super::{Limit, XmlError};

/// The bytes as text, if they are UTF-8 and XML 1.0 §2.2 allows every character.
pub(super) fn text(bytes: &[u8]) -> Result<&str, XmlError> {
    let text = from_utf8(bytes).map_err(|_| XmlError::UnsupportedEncoding)?;
    // No early end: the loop becomes vector instructions.
    let (mut control, mut wide) = (false, false);
    for &byte in bytes {
        control |= is_control(byte);
        wide |= byte == 0xEF;
    }
    if control || wide && has_nonchars(bytes) { Err(XmlError::NotWellFormed) } else { Ok(text) }
}

/// Checks the length and the characters of a name without a colon.
pub(super) fn check_name(name: &str) -> Result<(), XmlError> {
    let bytes = name.as_bytes();
    if bytes.len() > MAX_NAME {
        return Err(XmlError::TooLarge(Limit::Name));
    }
    let Some(&first) = bytes.first() else { return Err(XmlError::NotWellFormed) };
    let plain = KIND[usize::from(first)] == START
        && bytes[1..].iter().all(|&byte| KIND[usize::from(byte)] != 0);
    if plain || is_name(name) { Ok(()) } else { Err(XmlError::NotWellFormed) }
}

/// Whether a name or a prefix can begin with this byte.
pub(super) fn may_start_name(byte: u8) -> bool {
    byte >= 0x80 || KIND[usize::from(byte)] == START
}

/// Checks the references in a text or an attribute's value.
pub(super) fn check_references(value: &str) -> Result<(), XmlError> {
    let mut rest = value;
    while let Some(at) = memchr(b'&', rest.as_bytes()) {
        rest = &rest[at + 1..];
        let end = memchr(b';', rest.as_bytes()).ok_or(XmlError::NotWellFormed)?;
        check_reference(&rest[..end])?;
        rest = &rest[end + 1..];
    }
    Ok(())
}

/// Checks the text between `&` and `;`.
pub(super) fn check_reference(name: &str) -> Result<(), XmlError> {
    if predefined(name).is_some() {
        Ok(())
    } else if name.starts_with('#') {
        referenced_char(name).map(|_| ()).ok_or(XmlError::NotWellFormed)
    } else if is_name(name) {
        // Only a DTD could define this entity.
        Err(XmlError::RestrictedXml)
    } else {
        Err(XmlError::NotWellFormed)
    }
}

/// The character that is meant by the text between `&` and `;`.
pub(super) fn dereference(name: &str) -> Option<char> {
    predefined(name).or_else(|| referenced_char(name))
}

/// Whether XML 1.0 §2.2 allows the character.
pub(super) fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

/// White space as XML 1.0 §2.3 defines it, which is less than in Rust.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Whether the byte is a control character that no document may contain.
pub(super) fn is_control(byte: u8) -> bool {
    (byte < 0x20) & (byte != b'\t') & (byte != b'\n') & (byte != b'\r')
}

/// Whether the bytes contain U+FFFE or U+FFFF.
pub(super) fn has_nonchars(bytes: &[u8]) -> bool {
    memmem::find(bytes, "\u{FFFE}".as_bytes()).is_some()
        || memmem::find(bytes, "\u{FFFF}".as_bytes()).is_some()
}

/// Whether the text contains `]]>`, which XML 1.0 §2.4 forbids.
pub(super) fn has_cdata_end(text: &[u8]) -> bool {
    memchr_iter(b'>', text).any(|at| text[..at].ends_with(b"]]"))
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "apos" => '\'',
        "gt" => '>',
        "lt" => '<',
        "quot" => '"',
        _ => return None,
    })
}

fn referenced_char(name: &str) -> Option<char> {
    let digits = name.strip_prefix('#')?;
    let (digits, radix) = match digits.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    // Rust would accept a sign.
    if digits.starts_with('+') {
        return None;
    }
    let c = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
    is_char(c).then_some(c)
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(is_name_start) && chars.all(is_name_char)
}

fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}'
        | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}'
        | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

fn is_name_char(c: char) -> bool {
    is_name_start(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}'
            | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// The largest number of bytes of a name, prefix or namespace. The longest one that the XSF has registered
/// has 70.
pub(super) const MAX_NAME: usize = 1024;

const START: u8 = 2;
const INSIDE: u8 = 1;

/// Where an ASCII byte may stand in a name.
const KIND: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let c = byte as u8;
        if c.is_ascii_alphabetic() || c == b'_' {
            kinds[byte] = START;
        } else if c.is_ascii_digit() || c == b'-' || c == b'.' {
            kinds[byte] = INSIDE;
        }
        byte += 1;
    }
    kinds
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_scripts_are_names() {
        for name in ["a", "_x-1.2", "été", "имя", "名前", "a\u{B7}"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "1a", "-a", ".a", "a!b", "a:b", "a b", "\u{B7}a", "\u{D7}", "a\u{37E}"] {
            assert_eq!(check_name(name), Err(XmlError::NotWellFormed), "{name}");
        }
        let long = "a".repeat(MAX_NAME + 1);
        assert_eq!(check_name(&long), Err(XmlError::TooLarge(Limit::Name)));
    }

    #[test]
    fn references_are_the_five_and_characters() {
        for name in ["amp", "apos", "gt", "lt", "quot", "#9", "#x1F600", "#x10FFFF", "#0065"] {
            assert_eq!(check_reference(name), Ok(()), "{name}");
        }
        for name in ["nbsp", "foo", "AMP"] {
            assert_eq!(check_reference(name), Err(XmlError::RestrictedXml), "{name}");
        }
        for name in ["", "#", "#x", "#0", "#1", "#xD800", "#xFFFF", "#+65", "#x+41", "#X41", "a b"]
        {
            assert_eq!(check_reference(name), Err(XmlError::NotWellFormed), "{name}");
        }
    }
}
