//! The map of an element: where its tags, attributes and texts are in its bytes.

use std::ops::Range;

use smallvec::SmallVec;

use super::{CLIENT, XML};

/// The positions of tags, attributes and texts, in the order of the bytes.
#[derive(Debug, Default)]
pub(super) struct Tape {
    pub tokens: SmallVec<[Token; 16]>,
    pub namespaces: SmallVec<[Namespace; 4]>,
    /// The ranges of the prefix declarations of the outermost element.
    pub declared: Vec<Range<u32>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Token {
    Open(Open),
    /// An attribute. It follows the open tag to which it belongs.
    Attribute(Attribute),
    Text {
        from: u32,
        to: u32,
    },
    /// CDATA, without `<![CDATA[` and `]]>`.
    CData {
        from: u32,
        to: u32,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub start: u32,
    pub inner: u32,
    pub inner_end: u32,
    pub end: u32,
    /// The token after the element.
    pub after: u32,
    pub ns: NsId,
    /// The length of the prefix, including its colon.
    pub prefix: u16,
    pub name: u16,
}

impl Open {
    pub(super) fn name_range(&self) -> Range<usize> {
        let start = self.start as usize + 1 + usize::from(self.prefix);
        start..start + usize::from(self.name)
    }

    pub(super) fn qualified_range(&self) -> Range<usize> {
        self.start as usize + 1..self.name_range().end
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute {
    pub key: u32,
    pub value: u32,
    pub value_end: u32,
    pub ns: NsId,
    /// The length of the prefix, including its colon.
    pub prefix: u16,
    pub name: u16,
}

impl Attribute {
    pub(super) fn name_range(&self) -> Range<usize> {
        let start = self.key as usize + usize::from(self.prefix);
        start..start + usize::from(self.name)
    }

    pub(super) fn value_range(&self) -> Range<usize> {
        self.value as usize..self.value_end as usize
    }
}

/// One of the three numbers below, or a place in `Tape::namespaces` counted after them. The same namespace
/// may have several numbers.
pub(super) type NsId = u32;

pub(super) const NS_NONE: NsId = 0;
pub(super) const NS_CLIENT: NsId = 1;
pub(super) const NS_XML: NsId = 2;
pub(super) const NS_FIRST: NsId = 3;

#[derive(Debug)]
pub(super) enum Namespace {
    /// Its range in the bytes.
    Slice(u32, u32),
    /// It is escaped in the bytes, or does not occur in them.
    Owned(Box<str>),
}

impl Tape {
    pub(super) fn ns<'a>(&'a self, bytes: &'a [u8], id: NsId) -> &'a [u8] {
        match id {
            NS_NONE => b"",
            NS_CLIENT => CLIENT.as_bytes(),
            NS_XML => XML.as_bytes(),
            _ => match &self.namespaces[(id - NS_FIRST) as usize] {
                Namespace::Slice(from, to) => &bytes[*from as usize..*to as usize],
                Namespace::Owned(owned) => owned.as_bytes(),
            },
        }
    }
}
