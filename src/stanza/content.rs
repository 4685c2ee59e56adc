//! The content of a stanza: its bytes as received, without the children that were removed, and with
//! the children that were added.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::xml::{ElementRef, Frame, Node};

/// The content of a stanza. A clone shares the bytes.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// The element as received; `None` if this server made or packed the content.
    pub(super) frame: Option<Frame>,
    /// Attributes of the stanza's own tag, in the form in which they are written. Only packed content
    /// has them.
    pub(super) attributes: Option<Arc<[u8]>>,
    /// Children of the frame that are not written, in the order of the frame.
    pub(super) removed: SmallVec<[Range<u32>; 2]>,
    /// Children that are written behind those of the frame. Each is whole, and declares its
    /// namespace unless it is `jabber:client`.
    pub(super) added: SmallVec<[Bytes; 1]>,
}

impl Content {
    /// The content of a received stanza.
    #[must_use]
    pub fn of(frame: Frame) -> Self {
        Self { frame: Some(frame), ..Self::default() }
    }

    /// Content that this server wrote: whole children. Each declares its namespace, unless that is
    /// `jabber:client`.
    #[must_use]
    pub fn made(children: Bytes) -> Self {
        Self { added: smallvec::smallvec![children], ..Self::default() }
    }

    /// The children that were received, without the removed ones. Children that the server has added are not
    /// among them.
    pub fn received_children(&self) -> impl Iterator<Item = ElementRef<'_>> {
        self.frame
            .iter()
            .flat_map(|frame| frame.root().children())
            .filter(|child| !self.removed.contains(&narrow(&child.range())))
    }

    /// An attribute of the stanza as it was received, character by character. `None` for a stanza that was not received.
    #[must_use]
    pub fn received_attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        self.frame.as_ref()?.root().attr(name)
    }

    /// The first received child with this namespace and name.
    #[must_use]
    pub fn received_child(&self, ns: &str, name: &str) -> Option<ElementRef<'_>> {
        self.received_children().find(|child| child.is(ns, name))
    }

    /// Whether a received child has this namespace and name.
    #[must_use]
    pub fn has_received_child(&self, ns: &str, name: &str) -> bool {
        self.received_child(ns, name).is_some()
    }

    /// Whether this server made the content, and its first child has this namespace and name.
    #[must_use]
    pub fn is_made_of(&self, ns: &str, name: &str) -> bool {
        self.frame.is_none() && self.added.first().is_some_and(|child| is_written(child, ns, name))
    }

    /// Whether this server has added a child with this namespace and name.
    #[must_use]
    pub fn has_added(&self, ns: &str, name: &str) -> bool {
        self.added.iter().any(|child| is_written(child, ns, name))
    }

    /// Removes every received child for which `which` holds. Returns whether there was one.
    pub fn remove(&mut self, which: impl Fn(&ElementRef<'_>) -> bool) -> bool {
        let found: SmallVec<[Range<u32>; 2]> =
            self.received_children().filter(|c| which(c)).map(|c| narrow(&c.range())).collect();
        let any = !found.is_empty();
        self.removed.extend(found);
        self.removed.sort_by_key(|range| range.start);
        any
    }

    /// Adds a child behind the others.
    pub fn add(&mut self, child: &Node) {
        self.added.push(child.to_bytes().into());
    }

    /// Adds a child that is written already: it declares its namespace, unless that is `jabber:client`.
    pub fn add_written(&mut self, child: Bytes) {
        self.added.push(child);
    }

    /// About how many bytes the content has when it is written.
    #[must_use]
    pub fn size(&self) -> usize {
        self.frame.as_ref().map_or(0, |f| f.bytes().len())
            + self.attributes.as_ref().map_or(0, |attributes| attributes.len())
            + self.added.iter().map(Bytes::len).sum::<usize>()
    }
}

/// Content that this server made.
impl From<Node> for Content {
    fn from(child: Node) -> Self {
        let mut content = Self::default();
        content.add(&child);
        content
    }
}

/// Whether an element that this server has written has this namespace and name.
fn is_written(child: &Bytes, ns: &str, name: &str) -> bool {
    let rest = child.strip_prefix(b"<").and_then(|rest| rest.strip_prefix(name.as_bytes()));
    let rest = rest.and_then(|rest| rest.strip_prefix(b" xmlns='"));
    let rest = rest.and_then(|rest| rest.strip_prefix(ns.as_bytes()));
    rest.is_some_and(|rest| rest.starts_with(b"'"))
}

/// Frames are bounded far below 4 GiB.
fn narrow(range: &Range<usize>) -> Range<u32> {
    range.start as u32..range.end as u32
}
