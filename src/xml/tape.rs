//! A checked element, read in place.
//!
//! A [`Frame`] is the bytes as they came and a tape: what stands where in them. Namespaces decide,
//! prefixes never show (RFC 6120 §4.8): two parsers that differ on prefixes are how stanzas are
//! smuggled.

use std::borrow::Cow;
use std::ops::Range;
use std::str::from_utf8;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::strict::{MAX_BINDINGS, Scanned, scan};
use super::{CLIENT, Limits, Scope, XML, XmlError, chars, rewrite, unescape};

/// A checked element: its bytes and a map of them. Cloning counts two references.
///
/// The bytes stand alone in any stream whose default namespace is `jabber:client`, without
/// another prefix than `xml` in force. The element's own name has no prefix, and what its tag declares,
/// only attributes of this tag use. So whoever writes another tag for the same name and namespace can
/// copy [`ElementRef::inner`], and attributes together with [`Frame::declarations`].
#[derive(Clone, Debug)]
pub struct Frame {
    bytes: Bytes,
    tape: Arc<Tape>,
}

impl Frame {
    /// Checks and maps one whole child of a stream, whose header put `scope` in force.
    ///
    /// The bytes are kept as they are, unless they do not stand alone. Then what is missing is
    /// declared where it is used. What is in the content namespace of `scope` is read as being in
    /// `jabber:client`.
    ///
    /// # Errors
    /// What was refused and why; the stream it came from cannot go on.
    pub fn parse(bytes: Bytes, scope: &Scope, limits: &Limits) -> Result<Self, XmlError> {
        let Scanned { tape, ties } = scan(&bytes, scope, limits)?;
        if ties.is_empty() {
            drop(ties);
            return Ok(Self { bytes, tape: Arc::new(tape) });
        }
        let bytes = rewrite::stand_alone(&bytes, &tape, &ties, limits.bytes)?;
        // There are more declarations now.
        let limits = Limits {
            attributes: limits.attributes.saturating_add(MAX_BINDINGS),
            nodes: limits.nodes.saturating_mul(2).saturating_add(MAX_BINDINGS),
            ..*limits
        };
        let scope = Scope::default();
        let Scanned { tape, ties } = scan(&bytes, &scope, &limits)?;
        debug_assert!(ties.is_empty(), "what was written anew stands alone");
        drop(ties);
        Ok(Self { bytes: bytes.into(), tape: Arc::new(tape) })
    }

    /// Checks and maps what this server wrote or stored itself.
    ///
    /// # Errors
    /// What was refused and why.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, XmlError> {
        Self::parse(bytes.into(), &Scope::default(), &Limits::STORED)
    }

    /// The element.
    pub fn root(&self) -> ElementRef<'_> {
        ElementRef { bytes: &self.bytes, tape: &self.tape, at: 0 }
    }

    /// Where the element's own tag declares prefixes: `xmlns:prefix='namespace'`, with quotes.
    pub fn declarations(&self) -> impl Iterator<Item = Range<usize>> {
        self.tape.declared.iter().map(|range| range.start as usize..range.end as usize)
    }

    /// The element as it is to be sent in a stream of `jabber:client`.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl PartialEq for Frame {
    /// Whether the same bytes are meant; other bytes can say the same.
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
    /// The place of its `Token::Open`.
    at: u32,
}

impl<'a> ElementRef<'a> {
    /// The name without prefix.
    pub fn name(&self) -> &'a str {
        str_at(self.bytes, self.open().name_range())
    }

    /// The namespace; empty if it is in none.
    pub fn ns(&self) -> &'a str {
        ns_str(self.tape, self.bytes, self.open().ns)
    }

    /// Whether it is this element of this namespace.
    pub fn is(&self, ns: &str, name: &str) -> bool {
        let open = self.open();
        &self.bytes[open.name_range()] == name.as_bytes()
            && self.tape.ns(self.bytes, open.ns) == ns.as_bytes()
    }

    /// The value of the attribute without namespace, unescaped and normalised.
    pub fn attr(&self, name: &str) -> Option<Cow<'a, str>> {
        let (bytes, found) = (self.bytes, self.attribute("", name)?);
        Some(unescape::attribute(str_at(bytes, found.value_range())))
    }

    /// The value of the attribute of this namespace, unescaped and normalised.
    pub fn attr_ns(&self, ns: &str, name: &str) -> Option<Cow<'a, str>> {
        let (bytes, found) = (self.bytes, self.attribute(ns, name)?);
        Some(unescape::attribute(str_at(bytes, found.value_range())))
    }

    /// Namespace (empty if in none), name and escaped value of each attribute. Declarations of
    /// namespaces are none.
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

    /// Namespace, name and place of each attribute: `name='value'` with prefix and quotes, in the
    /// frame's bytes. What their prefixes stand for, [`Frame::declarations`] has for the frame's own
    /// element.
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

    /// The elements directly inside.
    pub fn children(&self) -> Children<'a> {
        Children { parent: *self, next: self.at + 1, after: self.open().after }
    }

    /// The first element directly inside of this namespace and name.
    pub fn child(&self, ns: &str, name: &str) -> Option<Self> {
        self.children().find(|child| child.is(ns, name))
    }

    /// Whether there is such an element directly inside.
    pub fn has_child(&self, ns: &str, name: &str) -> bool {
        self.child(ns, name).is_some()
    }

    /// The text directly inside, unescaped, CDATA included.
    pub fn text(&self) -> Cow<'a, str> {
        let mut texts = self.texts();
        let Some(first) = texts.next() else { return Cow::Borrowed("") };
        let mut all = first;
        for text in texts {
            all.to_mut().push_str(&text);
        }
        all
    }

    /// Whether there is text directly inside that is not white space.
    pub fn has_text(&self) -> bool {
        self.texts().any(|text| !text.bytes().all(chars::is_space))
    }

    /// Where the element stands in the frame's bytes, from `<` to `>`.
    pub fn range(&self) -> Range<usize> {
        let open = self.open();
        open.start as usize..open.end as usize
    }

    /// Where its content stands in the frame's bytes, between its tags; empty if there is none.
    pub fn inner(&self) -> Range<usize> {
        let open = self.open();
        open.inner as usize..open.inner_end as usize
    }

    /// Elements and texts directly inside, in their order.
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

/// The elements directly inside another one.
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

/// What can be inside an element.
pub(super) enum Content<'a> {
    Element(ElementRef<'a>),
    /// Unescaped; two can follow each other.
    Text(Cow<'a, str>),
}

/// What stands where, in the order of the bytes.
#[derive(Debug, Default)]
pub(super) struct Tape {
    pub tokens: SmallVec<[Token; 16]>,
    pub namespaces: SmallVec<[Namespace; 4]>,
    /// Where the outermost element declares prefixes.
    pub declared: Vec<Range<u32>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Token {
    Open(Open),
    /// Follows the open tag it stands in.
    Attribute(Attribute),
    Text {
        from: u32,
        to: u32,
    },
    /// Without `<![CDATA[` and `]]>`.
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
    /// Length of the prefix, with its colon.
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
    /// Length of the prefix, with its colon.
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

/// One of the three below, or the place in `Tape::namespaces` after them. The same namespace may
/// have several.
pub(super) type NsId = u32;

pub(super) const NS_NONE: NsId = 0;
pub(super) const NS_CLIENT: NsId = 1;
pub(super) const NS_XML: NsId = 2;
pub(super) const NS_FIRST: NsId = 3;

#[derive(Debug)]
pub(super) enum Namespace {
    /// Where it stands in the bytes.
    Slice(u32, u32),
    /// It stands escaped in the bytes, or not at all.
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

fn str_at(bytes: &Bytes, range: Range<usize>) -> &str {
    from_utf8(&bytes[range]).expect("the parser checked that the frame is UTF-8")
}

fn ns_str<'a>(tape: &'a Tape, bytes: &'a Bytes, id: NsId) -> &'a str {
    from_utf8(tape.ns(bytes, id)).expect("the parser checked that the frame is UTF-8")
}
#[cfg(test)]
mod tests {
    use super::*;

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
}
