//! Unescapes text that was checked before (XML 1.0 §2.11, §3.3.3, §4.4).

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::chars::dereference;

/// Unescapes text between tags: line ends become `\n`, references are resolved.
pub(super) fn text(raw: &str) -> Cow<'_, str> {
    if memchr2(b'&', b'\r', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    resolve(raw, &mut out, push_lines);
    Cow::Owned(out)
}

/// Unescapes CDATA: line ends become `\n`, everything else stays unchanged.
pub(super) fn cdata(raw: &str) -> Cow<'_, str> {
    if memchr(b'\r', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    push_lines(raw, &mut out);
    Cow::Owned(out)
}

/// Unescapes the value of an attribute: white space becomes a space, and references are resolved, including
/// those to white space.
pub(super) fn attribute(raw: &str) -> Cow<'_, str> {
    if !raw.bytes().any(|byte| matches!(byte, b'&' | b'\t' | b'\n' | b'\r')) {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    resolve(raw, &mut out, |plain, out| {
        let from = out.len();
        push_lines(plain, out);
        if memchr2(b'\t', b'\n', &out.as_bytes()[from..]).is_some() {
            let spaced = out[from..].replace(['\t', '\n'], " ");
            out.replace_range(from.., &spaced);
        }
    });
    Cow::Owned(out)
}

/// Passes the text between references to `push`, and the characters of the references.
fn resolve(raw: &str, out: &mut String, push: impl Fn(&str, &mut String)) {
    let mut rest = raw;
    while let Some(at) = memchr(b'&', rest.as_bytes()) {
        push(&rest[..at], out);
        let end = memchr(b';', &rest.as_bytes()[at..]).expect("references were checked");
        out.extend(dereference(&rest[at + 1..at + end]));
        rest = &rest[at + end + 1..];
    }
    push(rest, out);
}

fn push_lines(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some(at) = memchr(b'\r', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        out.push('\n');
        rest = &rest[at + 1..];
        rest = rest.strip_prefix('\n').unwrap_or(rest);
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_references_are_read_as_xml_says() {
        assert_eq!(text("a&amp;\r\nb\rc&#13;&#xa;\u{e9}"), "a&\nb\nc\r\n\u{e9}");
        assert_eq!(cdata("a&amp;\r\nb\r"), "a&amp;\nb\n");
        assert_eq!(attribute("a\t\r\n\nb&#9;&#10;&apos;"), "a   b\t\n'");
        assert!(matches!(text("plain"), Cow::Borrowed(_)));
        assert!(matches!(attribute("plain"), Cow::Borrowed(_)));
    }
}
