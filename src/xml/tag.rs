//! The parts of a tag: its name, its attributes and its declarations. Also the XML declaration.
//!
//! quick-xml's attributes are not used: they accept a missing space between attributes, and do not give
//! the position of a value.

use std::ops::Range;

use memchr::{memchr, memchr2};

use super::chars::{MAX_NAME, check_name, check_references, is_space, text};
use super::{Limit, XML, XMLNS, XmlError};

/// The position of an attribute in the text.
pub(super) struct Place {
    pub key: Range<usize>,
    /// The range of the value without its quotes.
    pub value: Range<usize>,
}

/// The attributes of a tag in order, checked except for their names.
pub(super) struct Attributes<'a> {
    text: &'a str,
    position: usize,
    end: usize,
}

impl<'a> Attributes<'a> {
    /// `range` begins after the tag's name and ends before its `>` or `/>`.
    pub(super) fn new(text: &'a str, range: Range<usize>) -> Self {
        Self { text, position: range.start, end: range.end }
    }

    fn skip_space(&mut self) -> usize {
        let from = self.position;
        let rest = &self.text.as_bytes()[from..self.end];
        self.position += rest.iter().take_while(|byte| is_space(**byte)).count();
        self.position - from
    }

    fn attribute(&mut self) -> Result<Place, XmlError> {
        let bytes = &self.text.as_bytes()[..self.end];
        let from = self.position;
        let length = bytes[from..]
            .iter()
            .position(|&byte| byte == b'=' || is_space(byte))
            .ok_or(XmlError::NotWellFormed)?;
        let key = from..from + length;
        self.position = key.end;
        self.skip_space();
        if bytes.get(self.position) != Some(&b'=') {
            return Err(XmlError::NotWellFormed);
        }
        self.position += 1;
        self.skip_space();
        let Some(&quote @ (b'"' | b'\'')) = bytes.get(self.position) else {
            return Err(XmlError::NotWellFormed);
        };
        let from = self.position + 1;
        let length = memchr(quote, &bytes[from..]).ok_or(XmlError::NotWellFormed)?;
        let value = from..from + length;
        self.position = value.end + 1;
        match memchr2(b'<', b'&', &bytes[value.clone()]) {
            None => {}
            Some(_) if memchr(b'<', &bytes[value.clone()]).is_some() => {
                return Err(XmlError::NotWellFormed);
            }
            Some(_) => check_references(&self.text[value.clone()])?,
        }
        Ok(Place { key, value })
    }
}

impl Iterator for Attributes<'_> {
    type Item = Result<Place, XmlError>;

    fn next(&mut self) -> Option<Self::Item> {
        let space = self.skip_space();
        if self.position == self.end {
            None
        } else if space == 0 {
            Some(Err(XmlError::NotWellFormed))
        } else {
            Some(self.attribute())
        }
    }
}

/// Whether an element's own tag declares a default namespace. The element must have been checked, or
/// written by this server.
pub fn declares_default(element: &[u8]) -> bool {
    let mut quote = None;
    for (at, &byte) in element.iter().enumerate() {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'>') => return false,
            (None, _) if is_space(byte) => {
                let rest = element[at + 1..].strip_prefix(b"xmlns");
                let next = rest.and_then(|rest| rest.iter().find(|byte| !is_space(**byte)));
                if next == Some(&b'=') {
                    return true;
                }
            }
            (None, _) => {}
        }
    }
    false
}

/// The prefix (empty if there is none) and the local part of a name, both checked.
pub(super) fn split_name(name: &str) -> Result<(&str, &str), XmlError> {
    // Names are too short for a vector search.
    match name.bytes().position(|byte| byte == b':') {
        None => check_name(name).map(|()| ("", name)),
        Some(at) => {
            let (prefix, local) = (&name[..at], &name[at + 1..]);
            check_name(prefix)?;
            check_name(local)?;
            Ok((prefix, local))
        }
    }
}

/// The prefix that an attribute declares; empty if it declares the default namespace. `None` if it is not a
/// declaration (Namespaces in XML §3).
pub(super) fn declared<'a>(prefix: &str, local: &'a str) -> Option<&'a str> {
    match (prefix, local) {
        ("xmlns", prefix) => Some(prefix),
        ("", "xmlns") => Some(""),
        _ => None,
    }
}

/// Checks that `prefix` may stand for `namespace` (Namespaces in XML §3, §5).
pub(super) fn check_binding(prefix: &str, namespace: &str) -> Result<(), XmlError> {
    if namespace.len() > MAX_NAME {
        return Err(XmlError::TooLarge(Limit::Name));
    }
    let allowed = match prefix {
        "" => namespace != XML && namespace != XMLNS,
        "xml" => namespace == XML,
        "xmlns" => false,
        _ => !namespace.is_empty() && namespace != XML && namespace != XMLNS,
    };
    if allowed { Ok(()) } else { Err(XmlError::BadNamespacePrefix) }
}

/// The name at the beginning of a tag, unchecked.
pub(super) fn qualified_name(tag: &[u8]) -> &[u8] {
    let end = tag.iter().position(|&byte| is_space(byte)).unwrap_or(tag.len());
    &tag[..end]
}

/// Checks an XML declaration, which begins with `<?xml` and ends with `>` (XML 1.0 §2.8).
pub(super) fn check_declaration(bytes: &[u8]) -> Result<(), XmlError> {
    let text = text(bytes)?;
    let end = text.strip_suffix("?>").ok_or(XmlError::NotWellFormed)?.len();
    let from = "<?xml".len();
    if !text.as_bytes()[from..].first().copied().is_some_and(is_space) {
        // For example `<?xml-stylesheet?>`.
        return Err(XmlError::RestrictedXml);
    }
    // Each may occur once, in this order. Only the first one is required.
    let mut expected = ["version", "encoding", "standalone"].into_iter();
    let mut has_version = false;
    for attribute in Attributes::new(text, from..end) {
        let Place { key, value } = attribute?;
        let (key, value) = (&text[key], &text[value]);
        if !expected.any(|name| name == key) {
            return Err(XmlError::NotWellFormed);
        }
        has_version |= key == "version";
        match key {
            "version" if value == "1.0" => {}
            "encoding" if value.eq_ignore_ascii_case("utf-8") => {}
            "encoding" => return Err(XmlError::UnsupportedEncoding),
            "standalone" if value == "yes" || value == "no" => {}
            _ => return Err(XmlError::NotWellFormed),
        }
    }
    if has_version { Ok(()) } else { Err(XmlError::NotWellFormed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_one_of_utf_8() {
        let cases = [
            ("<?xml version='1.0'?>", Ok(())),
            ("<?xml version=\"1.0\" encoding='utf-8' standalone='yes' ?>", Ok(())),
            ("<?xml version='1.0' encoding='UTF-8'?>", Ok(())),
            ("<?xml version='1.0' encoding='UTF-16'?>", Err(XmlError::UnsupportedEncoding)),
            ("<?xml version='1.0' encoding='latin1'?>", Err(XmlError::UnsupportedEncoding)),
            ("<?xml version='1.1'?>", Err(XmlError::NotWellFormed)),
            ("<?xml encoding='utf-8'?>", Err(XmlError::NotWellFormed)),
            ("<?xml encoding='utf-8' version='1.0'?>", Err(XmlError::NotWellFormed)),
            ("<?xml version='1.0' version='1.0'?>", Err(XmlError::NotWellFormed)),
            ("<?xml version='1.0' x='1'?>", Err(XmlError::NotWellFormed)),
            ("<?xml version='1.0'>", Err(XmlError::NotWellFormed)),
            ("<?xml?>", Err(XmlError::RestrictedXml)),
            ("<?xml-stylesheet href='a'?>", Err(XmlError::RestrictedXml)),
        ];
        for (input, expected) in cases {
            assert_eq!(check_declaration(input.as_bytes()), expected, "{input}");
        }
    }
}
