//! Names of files: as they end the address of a file. No file on the disk has such a name.

/// The name that a client gave, without what has a meaning in a path, and without characters that are not shown or
/// that change the direction of a text (`photo\u{202e}gpj.exe`). At most 200 bytes; the ending stays (XEP-0363 §4).
/// Never empty, `.` or `..`.
#[must_use]
pub fn clean(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown = |c: &char| !c.is_control() && !is_format(*c);
    let name: String = name.chars().filter(shown).collect();
    let name = name.trim_start_matches(|c: char| c == '.' || c.is_whitespace()).trim_end();
    match name {
        "" => "file".to_owned(),
        name => shortened(name),
    }
}

/// A name as a segment of a path (RFC 3986 §3.3).
#[must_use]
pub fn percent_encoded(name: &str) -> String {
    name.bytes().fold(String::with_capacity(name.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// A segment of a path as text. `None` if it is none.
#[must_use]
pub fn percent_decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((byte, more)) = rest.split_first() {
        if *byte != b'%' {
            bytes.push(*byte);
            rest = more;
            continue;
        }
        let digits = str::from_utf8(more.get(..2)?).ok()?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = more.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

/// Keeps the ending, if it is short.
fn shortened(name: &str) -> String {
    if name.len() <= MOST {
        return name.to_owned();
    }
    let ending = name.rfind('.').and_then(|dot| name.get(dot..));
    let ending = ending.filter(|ending| ending.len() <= ENDING).unwrap_or_default();
    let end = (0..=MOST - ending.len()).rev().find(|end| name.is_char_boundary(*end));
    let start = name.get(..end.unwrap_or_default()).unwrap_or_default();
    format!("{start}{ending}")
}

/// Characters of Unicode that are not shown (category Cf, as far as they matter in names).
fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' |
        '\u{2060}'..='\u{206f}' | '\u{feff}')
}

const MOST: usize = 200;
const ENDING: usize = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_cleaned() {
        for (name, expected) in [
            ("très cool.jpg", "très cool.jpg"),
            ("../../etc/passwd", "passwd"),
            ("..", "file"),
            (".", "file"),
            ("", "file"),
            ("/", "file"),
            ("a/", "file"),
            (r"C:\photos\a.png", "a.png"),
            (".htaccess", "htaccess"),
            (" a b ", "a b"),
            ("a\r\nSet-Cookie: b.jpg", "aSet-Cookie: b.jpg"),
            ("a\0.jpg", "a.jpg"),
            ("photo\u{202e}gpj.exe", "photogpj.exe"),
            ("..%2f..%2fx", "%2f..%2fx"),
        ] {
            assert_eq!(clean(name), expected, "{name:?}");
        }
        let long = clean(&format!("{}.jpg", "é".repeat(300)));
        assert!(long.ends_with("é.jpg") && long.len() <= MOST, "{long}");
        assert_eq!(clean(&"x".repeat(300)).len(), MOST);
        assert_eq!(clean(&format!("a.{}", "x".repeat(300))).len(), MOST);
    }

    #[test]
    fn a_path_is_written_as_its_specification_says() {
        assert_eq!(percent_encoded("très cool.jpg"), "tr%C3%A8s%20cool.jpg");
        assert_eq!(percent_encoded("a?b#c&d"), "a%3Fb%23c%26d");
        for wrong in ["%", "%4", "%zz", "%+1", "%ff", "a%C3"] {
            assert_eq!(percent_decoded(wrong), None, "{wrong}");
        }
        assert_eq!(percent_decoded("a+b").as_deref(), Some("a+b"));
        assert_eq!(percent_decoded("%2e%2E").as_deref(), Some(".."));
    }

    proptest! {
        #[test]
        fn a_name_comes_back_from_its_path(name: String) {
            let clean = clean(&name);
            prop_assert!(!clean.is_empty() && clean.len() <= MOST);
            prop_assert!(!clean.contains(['/', '\\', '\0']) && !clean.starts_with('.'));
            let again = super::clean(&clean);
            prop_assert_eq!(&again, &clean);
            let path = percent_encoded(&clean);
            prop_assert!(path.is_ascii() && !path.contains('/'));
            prop_assert_eq!(percent_decoded(&path), Some(clean));
        }
    }
}
