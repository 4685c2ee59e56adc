//! Writes elements straight to bytes, without a tree.
//!
//! ```
//! use waxwing::xml::element;
//!
//! let query = element("query")
//!     .ns("http://jabber.org/protocol/disco#info")
//!     .child(element("feature").attr("var", "urn:xmpp:ping"));
//! assert_eq!(
//!     query.to_bytes(),
//!     b"<query xmlns='http://jabber.org/protocol/disco#info'>\
//!       <feature var='urn:xmpp:ping'/></query>",
//! );
//! ```

use memchr::memmem;

use super::writer::{escape_text, write_attr};

/// An element that is being written.
///
/// An element without [`Node::ns`] is in the namespace of its parent. Values and texts are escaped; names
/// are written unchanged and must be valid names.
#[derive(Clone, Debug)]
#[must_use]
pub struct Node {
    name: &'static str,
    /// ` xmlns='…' key='…'`, escaped.
    attributes: Vec<u8>,
    /// The content between the tags.
    content: Vec<u8>,
}

/// A new, empty element with this name. The only allowed prefixes are `stream:`, which
/// every stream declares, and `db:`, which every stream between servers declares.
pub fn element(name: &'static str) -> Node {
    debug_assert!(
        super::chars::check_name(
            ["stream:", "db:"].iter().find_map(|p| name.strip_prefix(p)).unwrap_or(name)
        )
        .is_ok(),
        "not a name: {name}"
    );
    Node { name, attributes: Vec::new(), content: Vec::new() }
}

impl Node {
    /// Declares the element's namespace, once.
    pub fn ns(self, ns: &str) -> Self {
        self.attr("xmlns", ns)
    }

    /// Adds an attribute. Names must be unique; the only allowed prefix is that of `xml:lang`.
    pub fn attr(mut self, name: &str, value: impl AsRef<str>) -> Self {
        debug_assert!(!self.has_attr(name), "two attributes of one name: {name}");
        write_attr(&mut self.attributes, "", name, value.as_ref());
        self
    }

    /// Adds an attribute if there is a value.
    pub fn maybe_attr(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// Adds text at the end of the content.
    pub fn text(mut self, text: &str) -> Self {
        escape_text(&mut self.content, text);
        self
    }

    /// Adds an element at the end of the content.
    #[expect(clippy::needless_pass_by_value, reason = "one that was put somewhere is used up")]
    pub fn child(mut self, child: Self) -> Self {
        child.write(&mut self.content);
        self
    }

    /// Adds elements at the end of the content.
    pub fn children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        for child in children {
            child.write(&mut self.content);
        }
        self
    }

    /// Adds bytes at the end of the content. They must be well-formed, for example the content of a
    /// [`Frame`](super::Frame) that has the same default namespace as this element.
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.content.extend_from_slice(bytes.as_ref());
        self
    }

    /// Appends the element.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(self.attributes.len() + self.content.len() + 2 * self.name.len() + 5);
        out.push(b'<');
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(&self.attributes);
        if self.content.is_empty() {
            out.extend_from_slice(b"/>");
            return;
        }
        out.push(b'>');
        out.extend_from_slice(&self.content);
        out.extend_from_slice(b"</");
        out.extend_from_slice(self.name.as_bytes());
        out.push(b'>');
    }

    /// The element's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// The element as text, for the store.
    #[must_use]
    pub fn to_xml(&self) -> String {
        String::from_utf8_lossy(&self.to_bytes()).into_owned()
    }

    /// Values are escaped, so the first quote after the beginning of a value ends it.
    fn has_attr(&self, name: &str) -> bool {
        memmem::find(&self.attributes, format!(" {name}='").as_bytes()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_written_with_everything_escaped() {
        let node = element("a")
            .ns("urn:a")
            .attr("k", "it's")
            .maybe_attr("none", None::<&str>)
            .maybe_attr("some", Some(String::from("1")))
            .text("<")
            .child(element("b").text("&"))
            .children([element("c"), element("d")])
            .raw("<e/>");
        let expected = "<a xmlns='urn:a' k='it&apos;s' some='1'>&lt;<b>&amp;</b><c/><d/><e/></a>";
        assert_eq!(node.to_xml(), expected);
    }
}
