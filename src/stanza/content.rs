//! The content of a stanza: its bytes as received, without the children that were removed, and with
//! the children that were added.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::ns;
use crate::xml::{ElementRef, Frame, Node};

/// The content of a stanza. A clone shares the bytes.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// The element as received; `None` if this server made or packed the content.
    frame: Option<Frame>,
    /// Attributes of the stanza's own tag, in the form in which they are written. Only packed content
    /// has them.
    attributes: Option<Arc<[u8]>>,
    /// Children of the frame that are not written, in the order of the frame.
    removed: SmallVec<[Range<u32>; 2]>,
    /// Children that are written behind those of the frame. Each is whole, and declares its
    /// namespace unless it is `jabber:client`.
    added: SmallVec<[Bytes; 1]>,
}

impl Content {
    /// The content of a received stanza.
    #[must_use]
    pub fn of(frame: Frame) -> Self {
        Self { frame: Some(frame), ..Self::default() }
    }

    /// Content that this server wrote: whole children, each of which declares its namespace unless it
    /// is `jabber:client`.
    #[must_use]
    pub fn made(children: Bytes) -> Self {
        Self { added: smallvec::smallvec![children], ..Self::default() }
    }

    /// The children as received, without removed ones and without added ones.
    pub fn children(&self) -> impl Iterator<Item = ElementRef<'_>> {
        self.frame
            .iter()
            .flat_map(|frame| frame.root().children())
            .filter(|child| !self.removed.contains(&narrow(&child.range())))
    }

    /// The first received child with this namespace and name.
    #[must_use]
    pub fn child(&self, ns: &str, name: &str) -> Option<ElementRef<'_>> {
        self.children().find(|child| child.is(ns, name))
    }

    /// Whether a received child has this namespace and name.
    #[must_use]
    pub fn has(&self, ns: &str, name: &str) -> bool {
        self.child(ns, name).is_some()
    }

    /// Removes every child for which `which` holds. Returns whether there was one.
    pub fn remove(&mut self, which: impl Fn(&ElementRef<'_>) -> bool) -> bool {
        let found: SmallVec<[Range<u32>; 2]> =
            self.children().filter(|c| which(c)).map(|c| narrow(&c.range())).collect();
        let any = !found.is_empty();
        self.removed.extend(found);
        self.removed.sort_by_key(|range| range.start);
        any
    }

    /// Adds a child behind the others.
    pub fn add(&mut self, child: &Node) {
        self.added.push(child.to_bytes().into());
    }

    /// The same attributes and children in a copy of the size they need, which holds no larger buffer
    /// alive. It can be written, not read any more; for what is kept for long. Not for messages: their
    /// `type` is forgotten if it means `normal`.
    #[must_use]
    pub fn packed(&self) -> Self {
        let (mut attributes, mut out) = (Vec::new(), Vec::new());
        self.write_attributes(&mut attributes);
        if let Some(frame) = &self.frame {
            self.write_children(frame, &mut out);
        }
        for child in &self.added {
            out.extend_from_slice(child);
        }
        out.shrink_to_fit();
        Self {
            frame: None,
            attributes: (!attributes.is_empty()).then(|| attributes.into()),
            removed: SmallVec::new(),
            added: smallvec::smallvec![out.into()],
        }
    }

    /// About how many bytes the content has when it is written.
    #[must_use]
    pub fn size(&self) -> usize {
        self.frame.as_ref().map_or(0, |f| f.bytes().len())
            + self.attributes.as_ref().map_or(0, |attributes| attributes.len())
            + self.added.iter().map(Bytes::len).sum::<usize>()
    }

    /// Writes the rest of a stanza whose start tag stands open as `<name key='value'`: attributes
    /// which are not the head's, the children, the end tag.
    pub fn write(&self, name: &str, out: &mut Vec<u8>) {
        self.write_attributes(out);
        let tag = out.len();
        out.push(b'>');
        let inside = out.len();
        if let Some(frame) = &self.frame {
            self.write_children(frame, out);
        }
        for child in &self.added {
            out.extend_from_slice(child);
        }
        if out.len() == inside {
            out.truncate(tag);
            out.extend_from_slice(b"/>");
            return;
        }
        out.extend_from_slice(b"</");
        out.extend_from_slice(name.as_bytes());
        out.push(b'>');
    }

    /// The `type` attribute as received.
    pub(super) fn kind(&self) -> Option<Cow<'_, str>> {
        self.frame.as_ref()?.root().attr("type")
    }

    /// Attributes that this server does not know are forwarded, with the declarations of
    /// their prefixes. A value may have such a prefix in it, so all of them go along.
    fn write_attributes(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.attributes.as_deref().unwrap_or_default());
        let Some(frame) = &self.frame else { return };
        let others = frame.root().raw_attrs().filter(|(ns, name, _)| match *ns {
            "" => !matches!(*name, "from" | "to" | "id" | "type"),
            ns::XML => *name != "lang",
            _ => true,
        });
        for range in frame.declarations().chain(others.map(|(_, _, range)| range)) {
            out.push(b' ');
            out.extend_from_slice(&frame.bytes()[range]);
        }
    }

    fn write_children(&self, frame: &Frame, out: &mut Vec<u8>) {
        let inner = frame.root().inner();
        let mut from = inner.start;
        for gap in &self.removed {
            out.extend_from_slice(&frame.bytes()[from..gap.start as usize]);
            from = gap.end as usize;
        }
        out.extend_from_slice(&frame.bytes()[from..inner.end]);
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

/// Frames are bounded far below 4 GiB.
fn narrow(range: &Range<usize>) -> Range<u32> {
    range.start as u32..range.end as u32
}
