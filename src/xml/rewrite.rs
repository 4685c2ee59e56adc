//! Rewrites an element so that it needs no declarations from outside. The element's own name, and the
//! names inside that have the same namespace, lose their prefixes. Each child gets the declarations that
//! it used from outside.
//!
//! Everything else stays unchanged, including prefixes and their declarations: a value can contain a
//! prefix, too (as in `xsi:type`).

use std::ops::Range;

use super::tape::{NS_CLIENT, NsId, Open, Tape, Token};
use super::ties::Ties;
use super::{CLIENT, Limit, XmlError, writer};

/// Writes the element of the tape without these ties, in at most `limit` bytes.
pub(super) fn stand_alone(
    bytes: &[u8],
    tape: &Tape,
    ties: &Ties<'_>,
    limit: usize,
) -> Result<Vec<u8>, XmlError> {
    let mut edits = Edits { bytes, tape, all: Vec::new() };
    edits.make(ties);
    edits.all.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for (range, text) in &edits.all {
        // A range that is removed needs no edits inside.
        if range.start < from {
            continue;
        }
        out.extend_from_slice(&bytes[from..range.start]);
        out.extend_from_slice(text);
        from = range.end;
        // A short prefix can stand for a long namespace.
        if out.len() > limit {
            return Err(XmlError::TooLarge(Limit::Bytes));
        }
    }
    out.extend_from_slice(&bytes[from..]);
    if out.len() > limit { Err(XmlError::TooLarge(Limit::Bytes)) } else { Ok(out) }
}

struct Edits<'a> {
    bytes: &'a [u8],
    tape: &'a Tape,
    /// The ranges to replace, and their replacements.
    all: Vec<(Range<usize>, Vec<u8>)>,
}

impl Edits<'_> {
    fn make(&mut self, ties: &Ties<'_>) {
        let root = self.open(0);
        if ties.name {
            self.rename(root, ties);
        }
        // Without their prefix, these names would be in the default namespace. Children are in order.
        let defaults = ties.needs.iter().filter(|need| need.prefix.is_empty());
        let defaults: Vec<u32> = defaults.map(|need| need.at).collect();
        let has_default = |child: u32| defaults.binary_search(&child).is_ok();
        for (child, element) in &ties.plain {
            if !has_default(*child) {
                self.remove_prefix(self.open(*element));
            }
        }
        for need in &ties.needs {
            if !need.is_plain || has_default(need.at) {
                self.declare(self.open(need.at), need.prefix, need.ns);
            }
        }
        for value in &ties.content {
            self.all.push((value.clone(), CLIENT.into()));
        }
    }

    /// Gives the outermost element a name without prefix, in the default namespace.
    fn rename(&mut self, root: Open, ties: &Ties<'_>) {
        if root.prefix > 0 {
            self.remove_prefix(root);
            if let Some(value) = &ties.default {
                // ` xmlns='…'`, perhaps with spaces around the `=`.
                let key = self.bytes[..value.start].iter().rposition(|byte| *byte == b'x');
                let key = key.expect("a declaration has a name");
                self.all.push((key - 1..value.end + 1, Vec::new()));
            }
        }
        if root.ns != NS_CLIENT {
            self.declare(root, "", root.ns);
        }
    }

    fn remove_prefix(&mut self, element: Open) {
        let prefix = usize::from(element.prefix);
        let (start, end) = (element.start as usize + 1, element.inner_end as usize + 2);
        self.all.push((start..start + prefix, Vec::new()));
        let closes_itself = element.end - element.inner_end == 1;
        if !closes_itself {
            self.all.push((end..end + prefix, Vec::new()));
        }
    }

    fn declare(&mut self, element: Open, prefix: &str, ns: NsId) {
        let ns = std::str::from_utf8(self.tape.ns(self.bytes, ns))
            .expect("the parser checked that the frame is UTF-8");
        let mut text = b" xmlns".to_vec();
        if !prefix.is_empty() {
            text.push(b':');
            text.extend_from_slice(prefix.as_bytes());
        }
        text.extend_from_slice(b"='");
        writer::escape_attr(&mut text, ns);
        text.push(b'\'');
        let at = element.name_range().end;
        self.all.push((at..at, text));
    }

    fn open(&self, at: u32) -> Open {
        match self.tape.tokens[at as usize] {
            Token::Open(open) => open,
            _ => unreachable!("an element is the place of an open tag"),
        }
    }
}
