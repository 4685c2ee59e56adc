//! Stanzas for the log, without people's texts and without secrets.
//!
//! A list of secrets is never complete (`<body/>`, SASL, XEP-0077, tokens of XEP-0484 in an attribute …). So
//! all character data is hidden, and all attributes except those that are known to be harmless. The code
//! works on any bytes, well-formed or not.

use std::fmt;

/// Shows a redacted stanza. The work is done only if the stanza is logged:
/// `trace!(xml = %Redacted(bytes), "received")`.
#[derive(Clone, Copy, Debug)]
pub struct Redacted<'a>(pub &'a [u8]);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact(self.0))
    }
}

/// The elements and harmless attributes of `xml`. Everything else is replaced by `…5 bytes…`.
///
/// Names may contain control characters if the XML is ill-formed; the log escapes them.
#[must_use]
pub fn redact(xml: &[u8]) -> String {
    let mut out = String::with_capacity(xml.len().min(4096));
    let mut rest = Rest(xml);
    while let Some(first) = rest.0.first() {
        if rest.0.starts_with(b"<![CDATA[") {
            hide(&mut out, rest.through(b"]]>"));
        } else if rest.0.starts_with(b"<!") || rest.0.starts_with(b"<?") {
            hide(&mut out, rest.through(b">"));
        } else if *first == b'<' {
            tag(&mut out, &mut rest);
        } else {
            hide(&mut out, rest.until(|b| b == b'<'));
        }
    }
    out
}

/// One tag, from `<` to `>` or the end.
fn tag(out: &mut String, rest: &mut Rest<'_>) {
    let is_end_of_name = |b: u8| b.is_ascii_whitespace() || matches!(b, b'/' | b'>' | b'<');
    out.push('<');
    rest.0 = &rest.0[1..];
    if rest.skip(b'/') {
        out.push('/');
    }
    name(out, rest.until(is_end_of_name));
    loop {
        rest.until(|b| !b.is_ascii_whitespace());
        match rest.0.first() {
            None | Some(b'<') => return,
            Some(b'>') => {
                rest.skip(b'>');
                out.push('>');
                return;
            }
            Some(b'/') => {
                rest.skip(b'/');
                out.push('/');
            }
            Some(_) => attribute(out, rest),
        }
    }
}

fn attribute(out: &mut String, rest: &mut Rest<'_>) {
    let is_end =
        |b: u8| b.is_ascii_whitespace() || matches!(b, b'=' | b'/' | b'>' | b'<' | b'"' | b'\'');
    let before = rest.0;
    let key = rest.until(is_end);
    rest.until(|b| !b.is_ascii_whitespace());
    out.push(' ');
    if !rest.skip(b'=') {
        // This is not XML. It may be the middle of a text.
        rest.0 = before;
        let odd = rest.until(|b| matches!(b, b'>' | b'<'));
        return hide(out, odd);
    }
    rest.until(|b| !b.is_ascii_whitespace());
    name(out, key);
    out.push_str("='");
    let value = match rest.0.first() {
        Some(quote @ (b'"' | b'\'')) => {
            let quote = *quote;
            rest.skip(quote);
            let value = rest.until(|b| b == quote);
            // Without its end it is not XML, so nothing of it is shown.
            if rest.skip(quote) { Ok(value) } else { Err(value) }
        }
        _ => Err(rest.until(is_end)),
    };
    match value {
        Ok(value) if HARMLESS.contains(&key) || key.starts_with(b"xmlns:") => name(out, value),
        Ok(value) | Err(value) => hide(out, value),
    }
    out.push('\'');
}

/// Shows a name, or the beginning of a long one.
fn name(out: &mut String, name: &[u8]) {
    let shown = &name[..name.len().min(LONGEST_NAME)];
    out.push_str(&String::from_utf8_lossy(shown));
    hide(out, &name[shown.len()..]);
}

fn hide(out: &mut String, hidden: &[u8]) {
    if !hidden.is_empty() {
        out.push_str(&format!("…{} bytes…", hidden.len()));
    }
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// Takes the bytes before the first one that matches.
    fn until(&mut self, is_end: impl Fn(u8) -> bool) -> &'a [u8] {
        let n = self.0.iter().position(|b| is_end(*b)).unwrap_or(self.0.len());
        self.take(n)
    }

    /// Takes everything up to and including `end`, or all that is left.
    fn through(&mut self, end: &[u8]) -> &'a [u8] {
        let found = memchr::memmem::find(self.0, end);
        self.take(found.map_or(self.0.len(), |n| n + end.len()))
    }

    fn skip(&mut self, byte: u8) -> bool {
        let is_there = self.0.first() == Some(&byte);
        self.take(usize::from(is_there));
        is_there
    }

    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        taken
    }
}

const HARMLESS: [&[u8]; 20] = [
    b"ask",
    b"by",
    b"code",
    b"from",
    b"h",
    b"id",
    b"jid",
    b"max",
    b"mechanism",
    b"node",
    b"resume",
    b"stamp",
    b"subscription",
    b"to",
    b"type",
    b"var",
    b"ver",
    b"version",
    b"xml:lang",
    b"xmlns",
];
/// The largest number of bytes.
const LONGEST_NAME: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::redact;

    #[test]
    fn what_people_write_is_hidden_and_the_form_remains() {
        for (xml, expected) in [
            (
                "<message to=\"juliet@capulet.lit\" id='a'><body>Lady</body></message>",
                "<message to='juliet@capulet.lit' id='a'><body>…4 bytes…</body></message>",
            ),
            (
                "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldA==</auth>",
                "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>…12 bytes…</auth>",
            ),
            (
                "<token token='secret' expiry='2026'/>",
                "<token token='…6 bytes…' expiry='…4 bytes…'/>",
            ),
            ("<a><![CDATA[</a> secret]]></a>", "<a>…23 bytes…</a>"),
            ("<a x:y = '>'  />", "<a x:y='…1 bytes…'/>"),
            ("<?xml version='1.0'?><!-- secret --><a/>", "…21 bytes……15 bytes…<a/>"),
            (" ", "…1 bytes…"),
        ] {
            assert_eq!(redact(xml.as_bytes()), expected);
        }
    }

    #[test]
    fn nothing_is_shown_of_what_is_cut_or_broken() {
        for xml in [
            "<body>secret",
            "<body id='secret",
            "<body id=secret>",
            "<body id=\"a\"secret>",
            "<body secret='",
            "<body <secret",
            "<a b='c\" secret='secret'",
            "<![CDATA[secret",
            "<!secret",
            "</body\nsecret>",
        ] {
            let shown = redact(xml.as_bytes());
            // Names of elements and attributes may be anything. Values and texts must not show.
            let is_name = xml.contains("<secret") || xml.contains("secret='");
            assert!(is_name || !shown.contains("secret"), "{xml} -> {shown}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_stumble(xml in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(redact(&xml).len() <= 40 * xml.len());
        }

        #[test]
        fn no_text_comes_through(text in "[^<]{1,40}", value in "[^<']{1,40}") {
            let shown = redact(format!("<body k='{value}'>§{text}</body>").as_bytes());
            let bytes = text.len() + "§".len();
            let expected = format!("<body k='…{} bytes…'>…{bytes} bytes…</body>", value.len());
            prop_assert_eq!(shown, expected);
        }
    }
}
