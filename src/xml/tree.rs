//! Trees, for elements that are edited or stored: forms, PubSub items, answers of handlers.
//!
//! minidom's own parser must not read bytes from the network: it does not limit the depth, and a deep
//! document ends the process.

use minidom::Element;
use minidom::rxml::{Namespace, NcName};

use super::frame::Content;
use super::{ElementRef, Frame, XmlError, unescape, writer};

impl ElementRef<'_> {
    /// A copy of the element as a tree. It costs about three times as much as checking the element.
    pub fn to_tree(&self) -> Element {
        let mut tree = Element::bare(self.name(), self.ns());
        for (ns, name, value) in self.attrs() {
            let name = NcName::try_from(name).expect("the parser checked the names");
            let ns = match ns {
                "" => Namespace::none().clone(),
                _ => Namespace::from(ns.to_owned()),
            };
            tree.set_attr(ns, name, unescape::attribute(value).into_owned());
        }
        self.fill(&mut tree);
        tree
    }

    /// The texts and children in their order. It recurses no deeper than the parser's limit.
    fn fill(&self, tree: &mut Element) {
        for content in self.contents() {
            match content {
                Content::Element(child) => {
                    tree.append_child(child.to_tree());
                }
                // An empty text would become a text node, too.
                Content::Text(text) if text.is_empty() => {}
                Content::Text(text) => tree.append_text(text),
            }
        }
    }
}

/// The tree as bytes that mean the same wherever they stand: its root declares its namespace, whatever it is.
///
/// # Errors
/// If the element cannot be sent, since a name or namespace cannot be written.
pub fn standalone(tree: &Element) -> Result<Vec<u8>, XmlError> {
    let mut out = Vec::with_capacity(256);
    writer::write_tree(&mut out, tree, ANY);
    Frame::from_bytes(out.clone()).map(|_| out)
}

/// No element has this namespace.
const ANY: &str = "\0";

impl Frame {
    /// The tree as an element of a stream of `jabber:client`.
    ///
    /// # Errors
    /// If the element cannot be sent, since a name or namespace cannot be written.
    pub fn from_tree(tree: &Element) -> Result<Self, XmlError> {
        let mut out = Vec::with_capacity(256);
        writer::write_tree(&mut out, tree, super::CLIENT);
        Self::from_bytes(out)
    }
}
