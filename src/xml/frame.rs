//! A checked element that is read in place.
//!
//! A [`Frame`] consists of the received bytes and a tape, which lists the positions of tags, attributes and
//! texts. `strict.rs` makes it. The interface has namespaces and no prefixes (RFC 6120 §4.8): stanzas are smuggled where two
//! parsers disagree about prefixes.

use std::borrow::Cow;
use std::ops::Range;
use std::str::from_utf8;
use std::sync::Arc;

use bytes::Bytes;

use super::tape::{Attribute, NsId, Open, Tape, Token};
use super::{chars, unescape};

/// A checked element: its bytes and a map of them. A clone shares both.
///
/// The bytes are valid in every stream whose default namespace is `jabber:client`, without any other
/// declared prefix. The element's own name has no prefix, and only attributes of its tag use the prefixes
/// that the tag declares. So a writer of another tag for the same name and namespace can copy
/// [`ElementRef::inner`], and the attributes together with [`Frame::declarations`].
#[derive(Clone, Debug)]
pub struct Frame {
    pub(super) bytes: Bytes,
    pub(super) tape: Arc<Tape>,
}

impl Frame {
    /// The element.
    pub fn root(&self) -> ElementRef<'_> {
        ElementRef { bytes: &self.bytes, tape: &self.tape, at: 0 }
    }

    /// The ranges of the prefix declarations in the element's own tag: `xmlns:prefix='namespace'`, with
    /// quotes.
    pub fn declarations(&self) -> impl Iterator<Item = Range<usize>> {
        self.tape.declared.iter().map(|range| range.start as usize..range.end as usize)
    }

    /// The element as it is sent in a stream of `jabber:client`.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl PartialEq for Frame {
    /// Compares the bytes. Other bytes can have the same meaning.
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Frame {}

/// An element of a [`Frame`].
#[derive(Clone, Copy, Debug)]
pub struct ElementRef<'a> {
    bytes: &'a Bytes,
    tape: &'a Tape,
    /// The place of the element's `Token::Open`.
    at: u32,
}

impl<'a> ElementRef<'a> {
    /// The name without prefix.
    pub fn name(&self) -> &'a str {
        str_at(self.bytes, self.open().name_range())
    }

    /// The namespace; empty if the element has no namespace.
    pub fn ns(&self) -> &'a str {
        ns_str(self.tape, self.bytes, self.open().ns)
    }

    /// Whether the element has this namespace and name.
    pub fn is(&self, ns: &str, name: &str) -> bool {
        let open = self.open();
        &self.bytes[open.name_range()] == name.as_bytes()
            && self.tape.ns(self.bytes, open.ns) == ns.as_bytes()
    }

    /// The value of an attribute that has no namespace, unescaped and normalised.
    pub fn attr(&self, name: &str) -> Option<Cow<'a, str>> {
        let (bytes, found) = (self.bytes, self.attribute("", name)?);
        Some(unescape::attribute(str_at(bytes, found.value_range())))
    }

    /// The value of an attribute in this namespace, unescaped and normalised.
    pub fn attr_ns(&self, ns: &str, name: &str) -> Option<Cow<'a, str>> {
        let (bytes, found) = (self.bytes, self.attribute(ns, name)?);
        Some(unescape::attribute(str_at(bytes, found.value_range())))
    }

    /// The namespace (empty if there is none), name and escaped value of each attribute. Namespace
    /// declarations are not attributes.
    pub fn attrs(&self) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> + use<'a> {
        let Self { bytes, tape, .. } = *self;
        self.attributes().map(move |attribute| {
            (
                ns_str(tape, bytes, attribute.ns),
                str_at(bytes, attribute.name_range()),
                str_at(bytes, attribute.value_range()),
            )
        })
    }

    /// The namespace, the name and the range of each attribute in the frame's bytes: `name='value'` with
    /// prefix and quotes. For the frame's own element, [`Frame::declarations`] declares the prefixes.
    pub fn raw_attrs(&self) -> impl Iterator<Item = (&'a str, &'a str, Range<usize>)> + use<'a> {
        let Self { bytes, tape, .. } = *self;
        self.attributes().map(move |attribute| {
            (
                ns_str(tape, bytes, attribute.ns),
                str_at(bytes, attribute.name_range()),
                attribute.key as usize..attribute.value_end as usize + 1,
            )
        })
    }

    /// The child elements.
    pub fn children(&self) -> Children<'a> {
        Children { parent: *self, next: self.at + 1, after: self.open().after }
    }

    /// The first child element with this namespace and name.
    pub fn child(&self, ns: &str, name: &str) -> Option<Self> {
        self.children().find(|child| child.is(ns, name))
    }

    /// Whether there is a child element with this namespace and name.
    pub fn has_child(&self, ns: &str, name: &str) -> bool {
        self.child(ns, name).is_some()
    }

    /// The text of the element without that of its children, unescaped, including CDATA.
    pub fn text(&self) -> Cow<'a, str> {
        let mut texts = self.texts();
        let Some(first) = texts.next() else { return Cow::Borrowed("") };
        let mut all = first;
        for text in texts {
            all.to_mut().push_str(&text);
        }
        all
    }

    /// Whether the element itself contains text that is not white space.
    pub fn has_text(&self) -> bool {
        self.texts().any(|text| !text.bytes().all(chars::is_space))
    }

    /// The range of the element in the frame's bytes, from `<` to `>`.
    pub fn range(&self) -> Range<usize> {
        let open = self.open();
        open.start as usize..open.end as usize
    }

    /// The range of the content in the frame's bytes, between the tags; empty if there is no content.
    pub fn inner(&self) -> Range<usize> {
        let open = self.open();
        open.inner as usize..open.inner_end as usize
    }

    /// The child elements and texts, in their order.
    pub(super) fn contents(&self) -> impl Iterator<Item = Content<'a>> + use<'a> {
        let Self { bytes, tape, .. } = *self;
        let (mut next, after) = (self.at + 1, self.open().after);
        std::iter::from_fn(move || {
            while next < after {
                let at = next;
                next += 1;
                match &tape.tokens[at as usize] {
                    Token::Open(open) => {
                        next = open.after;
                        return Some(Content::Element(ElementRef { bytes, tape, at }));
                    }
                    Token::Attribute(_) => {}
                    Token::Text { from, to } => {
                        let raw = str_at(bytes, *from as usize..*to as usize);
                        return Some(Content::Text(unescape::text(raw)));
                    }
                    Token::CData { from, to } => {
                        let raw = str_at(bytes, *from as usize..*to as usize);
                        return Some(Content::Text(unescape::cdata(raw)));
                    }
                }
            }
            None
        })
    }

    fn texts(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        self.contents().filter_map(|content| match content {
            Content::Element(_) => None,
            Content::Text(text) => Some(text),
        })
    }

    fn attribute(&self, ns: &str, name: &str) -> Option<&'a Attribute> {
        let Self { bytes, tape, .. } = *self;
        self.attributes().find(|attribute| {
            bytes[attribute.name_range()] == *name.as_bytes()
                && tape.ns(bytes, attribute.ns) == ns.as_bytes()
        })
    }

    fn attributes(&self) -> impl Iterator<Item = &'a Attribute> + use<'a> {
        self.tape.tokens[self.at as usize + 1..].iter().map_while(|token| match token {
            Token::Attribute(attribute) => Some(attribute),
            _ => None,
        })
    }

    fn open(&self) -> &'a Open {
        match &self.tape.tokens[self.at as usize] {
            Token::Open(open) => open,
            _ => unreachable!("an element is the place of an open tag"),
        }
    }
}

/// The child elements of an element.
#[derive(Clone, Debug)]
pub struct Children<'a> {
    parent: ElementRef<'a>,
    next: u32,
    after: u32,
}

impl<'a> Iterator for Children<'a> {
    type Item = ElementRef<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.after {
            let at = self.next;
            if let Token::Open(open) = &self.parent.tape.tokens[at as usize] {
                self.next = open.after;
                return Some(ElementRef { at, ..self.parent });
            }
            self.next += 1;
        }
        None
    }
}

/// A child of an element.
pub(super) enum Content<'a> {
    Element(ElementRef<'a>),
    /// Text, unescaped. Two texts can follow each other.
    Text(Cow<'a, str>),
}

fn str_at(bytes: &Bytes, range: Range<usize>) -> &str {
    from_utf8(&bytes[range]).expect("the parser checked that the frame is UTF-8")
}

fn ns_str<'a>(tape: &'a Tape, bytes: &'a Bytes, id: NsId) -> &'a str {
    from_utf8(tape.ns(bytes, id)).expect("the parser checked that the frame is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{self, CLIENT, Limits, Scope, XML, XmlError};

    #[test]
    fn a_frame_is_read_in_place() {
        let input =
            "<message to='a&amp;b' xml:lang='en' id=\"1\"><body>a<!-- -->b</body></message>";
        assert!(matches!(Frame::from_bytes(input), Err(XmlError::RestrictedXml)));
        let input = "<message to='a&amp;b' xml:lang='en' id=\"1\">x<body>a&lt;<i>no</i>\
                     <![CDATA[<b>]]></body><x xmlns='urn:x'><y/></x></message>";
        let frame = Frame::from_bytes(input).unwrap();
        let root = frame.root();
        assert!(root.is("jabber:client", "message"));
        assert_eq!((root.ns(), root.name()), ("jabber:client", "message"));
        assert_eq!(root.attr("to").as_deref(), Some("a&b"));
        assert_eq!(root.attr("lang"), None);
        assert_eq!(root.attr_ns(XML, "lang").as_deref(), Some("en"));
        let raw: Vec<_> = root.raw_attrs().map(|(_, _, range)| &input[range]).collect();
        assert_eq!(raw, ["to='a&amp;b'", "xml:lang='en'", "id=\"1\""]);
        assert_eq!(root.attrs().last(), Some(("", "id", "1")));
        let names: Vec<_> = root.children().map(|child| child.name()).collect();
        assert_eq!(names, ["body", "x"]);
        let body = root.child(CLIENT, "body").unwrap();
        assert_eq!(body.text(), "a<<b>");
        assert_eq!(&input[body.inner()], "a&lt;<i>no</i><![CDATA[<b>]]>");
        let x = root.child("urn:x", "x").unwrap();
        assert_eq!(&input[x.range()], "<x xmlns='urn:x'><y/></x>");
        assert!(x.has_child("urn:x", "y") && !x.has_child(CLIENT, "y"));
        assert_eq!(x.children().next().unwrap().inner().len(), 0);
        assert!(root.has_text() && !x.has_text());
        assert_eq!(root.range(), 0..input.len());
    }

    #[test]
    fn what_a_component_forwards_is_read_as_that_of_a_client() {
        let header = "<s:stream xmlns='jabber:component:accept' xmlns:s='http://etherx.jabber.org/streams' to='a.example'>";
        let scope = Scope::from_header(&xml::header(header.as_bytes()).unwrap());
        let limits = Limits { bytes: 10_000, depth: 9, attributes: 20, nodes: 99 };
        let inner = "<iq xmlns='jabber:component:accept' type='get'/>";
        for (text, expected) in [
            (format!("<message><x xmlns='urn:x'>{inner}</x></message>"), CLIENT),
            (format!("<iq><privileged_iq xmlns='urn:x'>{inner}</privileged_iq></iq>"), CLIENT),
            // XEP-0356 §6: it is what it says.
            (
                format!(
                    "<iq><privileged_iq xmlns='urn:xmpp:privilege:2'>{inner}</privileged_iq></iq>"
                ),
                "jabber:component:accept",
            ),
        ] {
            let frame = Frame::parse(text.clone().into(), &scope, &limits).unwrap();
            let outer = frame.root().children().next().unwrap();
            assert_eq!(outer.children().next().unwrap().ns(), expected, "{text}");
        }
    }
}
