//! Writes an element anew so that it stands alone: no prefix but `xml` on its own tag, and
//! inside only such as are declared where they are used.
//!
//! Values and texts are copied as they stand. A prefix inside a value (as in `xsi:type`) loses its
//! declaration; nothing in XMPP has one.

use super::tape::{NS_CLIENT, NS_NONE, NS_XML, NsId, Open, Tape, Token};
use super::{Limit, XmlError, writer};

/// Writes the element of the tape, at most `limit` bytes.
pub(super) fn stand_alone(bytes: &[u8], tape: &Tape, limit: usize) -> Result<Vec<u8>, XmlError> {
    let mut rewrite = Rewrite { bytes, tape, out: Vec::with_capacity(bytes.len()), open: vec![] };
    for at in 0..tape.tokens.len() {
        rewrite.token(at);
        // A few bytes with a prefix can stand for a long namespace.
        if rewrite.out.len() > limit {
            return Err(XmlError::TooLarge(Limit::Bytes));
        }
    }
    rewrite.close(tape.tokens.len());
    if rewrite.out.len() > limit {
        return Err(XmlError::TooLarge(Limit::Bytes));
    }
    Ok(rewrite.out)
}

struct Rewrite<'a> {
    bytes: &'a [u8],
    tape: &'a Tape,
    out: Vec<u8>,
    open: Vec<Open>,
}

impl Rewrite<'_> {
    fn token(&mut self, at: usize) {
        self.close(at);
        match self.tape.tokens[at] {
            Token::Open(open) => self.open(at, open),
            Token::Attribute(_) => {}
            Token::Text { from, to } => self.copy(from, to),
            Token::CData { from, to } => {
                self.out.extend_from_slice(b"<![CDATA[");
                self.copy(from, to);
                self.out.extend_from_slice(b"]]>");
            }
        }
    }

    fn open(&mut self, at: usize, open: Open) {
        let outer = self.open.last().map_or(NS_CLIENT, |outer| outer.ns);
        self.out.push(b'<');
        self.out.extend_from_slice(&self.bytes[open.name_range()]);
        if self.ns(open.ns) != self.ns(outer) {
            self.declare("xmlns", open.ns);
        }
        let attributes = self.tape.tokens[at + 1..].iter().map_while(|token| match token {
            Token::Attribute(attribute) => Some(attribute),
            _ => None,
        });
        for (n, attribute) in attributes.enumerate() {
            let mut prefix = String::new();
            match attribute.ns {
                NS_NONE => {}
                NS_XML => prefix.push_str("xml:"),
                _ if at == 0 => continue,
                ns => {
                    prefix = format!("n{n}:");
                    self.declare(&format!("xmlns:n{n}"), ns);
                }
            }
            self.out.push(b' ');
            self.out.extend_from_slice(prefix.as_bytes());
            self.out.extend_from_slice(&self.bytes[attribute.name_range()]);
            self.out.push(b'=');
            // With the quotes around it, whichever they are.
            self.copy(attribute.value - 1, attribute.value_end + 1);
        }
        if open.inner == open.inner_end {
            self.out.extend_from_slice(b"/>");
        } else {
            self.out.push(b'>');
        }
        self.open.push(open);
    }

    /// Closes the elements that end before the token at `at`.
    fn close(&mut self, at: usize) {
        while let Some(open) = self.open.pop_if(|open| open.after as usize <= at) {
            if open.inner != open.inner_end {
                self.out.extend_from_slice(b"</");
                self.out.extend_from_slice(&self.bytes[open.name_range()]);
                self.out.push(b'>');
            }
        }
    }

    fn declare(&mut self, name: &str, ns: NsId) {
        let ns = std::str::from_utf8(self.tape.ns(self.bytes, ns))
            .expect("the parser checked that the frame is UTF-8");
        self.out.push(b' ');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"='");
        writer::escape_attr(&mut self.out, ns);
        self.out.push(b'\'');
    }

    fn copy(&mut self, from: u32, to: u32) {
        self.out.extend_from_slice(&self.bytes[from as usize..to as usize]);
    }

    fn ns(&self, id: NsId) -> &[u8] {
        self.tape.ns(self.bytes, id)
    }
}
