//! What an element needs from the stream around it: it is a document of its own without these ties.

use std::ops::Range;

use smallvec::SmallVec;

use super::tape::NsId;

/// The parts of an element that depend on the stream's header, or on the element's own tag.
#[derive(Debug, Default)]
pub(super) struct Ties<'a> {
    /// The element's own name has a prefix, or its namespace comes from the scope and is not
    /// `jabber:client`.
    pub name: bool,
    /// The prefixes that elements use and do not declare.
    pub needs: SmallVec<[Need<'a>; 2]>,
    /// Inner elements, each with the child that contains it, which are in the namespace of the outermost
    /// element. They need no prefix, unless another name in that child has no prefix and another
    /// namespace.
    pub plain: SmallVec<[(u32, u32); 2]>,
    /// The value of the element's own declaration of a default namespace.
    pub default: Option<Range<usize>>,
    /// Values of declarations of the stream's content namespace, which is read as `jabber:client`.
    pub content: SmallVec<[Range<usize>; 1]>,
}

/// A prefix (or the default namespace) that is used in an element and declared outside of it: by the
/// stream's header, or, for a child of the element, by the element's own tag.
#[derive(Debug)]
pub(super) struct Need<'a> {
    /// The place on the tape of the element, or of the child that uses the prefix somewhere inside.
    pub at: u32,
    pub prefix: &'a str,
    pub ns: NsId,
    /// Whether only names of [`Ties::plain`] use it.
    pub is_plain: bool,
}

impl Ties<'_> {
    /// Whether there are no ties.
    pub(super) fn is_empty(&self) -> bool {
        !self.name && self.needs.is_empty() && self.content.is_empty()
    }
}
