//! `<body/>` as clients send it (XEP-0124 §6, XEP-0206 §2).
//!
//! Children without a namespace of their own have that of BOSH, and mean that of a client's stream:
//! XEP-0206 §2 names both as usual.

use bytes::Bytes;

use crate::ns;
use crate::xml::{self, Frame, Limit, Limits, Scope, XmlError};

/// A request: the attributes of `<body/>`, and what stands in it.
#[derive(Clone, Debug)]
pub struct Wrapper {
    /// The open tag, as an empty element.
    tag: Frame,
    /// The children, as documents that need no declarations but those of a client's stream.
    pub payload: Vec<Bytes>,
}

impl Wrapper {
    /// Reads a whole request. `limits` hold for each of its children; see [`largest`] for all of it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &Bytes, limits: Limits) -> Result<Self, XmlError> {
        let whole = Limits {
            bytes: largest(limits.bytes),
            depth: limits.depth + 1,
            nodes: limits.nodes.saturating_mul(2),
            ..limits
        };
        let range = xml::document(bytes, whole)?;
        let frame = Frame::parse(bytes.slice(range), &Scope::none(), &whole)?;
        let root = frame.root();
        if !root.is(ns::BOSH, "body") {
            return Err(XmlError::InvalidNamespace);
        }
        if root.has_text() {
            return Err(XmlError::BadFormat);
        }
        let tag = tag(frame.bytes()).ok_or(XmlError::NotWellFormed)?;
        let mut payload = Vec::new();
        if root.children().next().is_some() {
            let mut header = xml::header(&[tag, b">"].concat())?;
            if header.default_namespace == ns::BOSH {
                ns::CLIENT.clone_into(&mut header.default_namespace);
            }
            let scope = Scope::from_header(&header);
            for child in root.children() {
                let child = frame.bytes().slice(child.range());
                if child.len() > limits.bytes {
                    return Err(XmlError::TooLarge(Limit::Bytes));
                }
                payload.push(Frame::parse(child, &scope, &limits)?.bytes().clone());
            }
        }
        Ok(Self { tag: Self::attributes(tag, limits)?, payload })
    }

    /// The session that a request names with this open tag; `None` if it names none. Not checked further: to know how
    /// much more may come.
    #[must_use]
    pub fn peek_sid(tag: &[u8], limits: Limits) -> Option<String> {
        let tag = Self::attributes(tag, limits).ok()?;
        tag.root().attr("sid").map(std::borrow::Cow::into_owned)
    }

    fn attributes(tag: &[u8], limits: Limits) -> Result<Frame, XmlError> {
        Frame::parse([tag, b"/>"].concat().into(), &Scope::none(), &limits)
    }

    /// An attribute of `<body/>`.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<String> {
        self.tag.root().attr(name).map(std::borrow::Cow::into_owned)
    }

    /// An attribute with a namespace.
    #[must_use]
    pub fn attr_ns(&self, ns: &str, name: &str) -> Option<String> {
        self.tag.root().attr_ns(ns, name).map(std::borrow::Cow::into_owned)
    }
}

/// How large a request may be whose children may have `stanza` bytes each.
#[must_use]
pub fn largest(stanza: usize) -> usize {
    stanza.saturating_mul(2)
}

/// The open tag with which this begins, without its end; `None` if it does not end here.
fn tag(bytes: &[u8]) -> Option<&[u8]> {
    OpenTag::default().find(bytes)
}

/// Finds the open tag of a document that comes in pieces. It looks at each byte once.
#[derive(Debug, Default)]
pub struct OpenTag {
    /// How many bytes were looked at.
    seen: usize,
    /// Where it begins, as far as that is known.
    start: Option<usize>,
    quote: Option<u8>,
    is_found: bool,
}

impl OpenTag {
    /// The open tag without its end, if it ends in the bytes that were not there before. `bytes` is all that has come. A
    /// declaration before it is passed over.
    pub fn find<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let new =
            bytes.iter().enumerate().skip(if self.is_found { bytes.len() } else { self.seen });
        self.seen = bytes.len();
        for (at, &byte) in new {
            match (self.start, self.quote) {
                (None, _) => self.start = (byte == b'<').then_some(at),
                (Some(_), Some(open)) => self.quote = (byte != open).then_some(open),
                (Some(start), None) if byte == b'>' => {
                    let tag = &bytes[start..at];
                    if !tag.starts_with(b"<?xml") {
                        self.is_found = true;
                        return Some(tag.strip_suffix(b"/").unwrap_or(tag));
                    }
                    self.start = None;
                }
                (Some(_), None) => self.quote = matches!(byte, b'\'' | b'"').then_some(byte),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(xml: &str) -> Result<Wrapper, XmlError> {
        Wrapper::parse(&xml.to_owned().into(), Limits::default())
    }

    fn payload(inside: &str) -> Vec<String> {
        let xml = format!(
            "<?xml version='1.0'?><body rid='1' xmlns='http://jabber.org/protocol/httpbind' \
             xmlns:x='urn:x'>{inside}</body>\n"
        );
        let payload = parse(&xml).unwrap().payload;
        payload.iter().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()).collect()
    }

    #[test]
    fn children_mean_what_they_would_mean_in_a_stream() {
        let table = [
            ("", vec![]),
            (" <presence/>\n", vec!["<presence/>"]),
            ("<iq xmlns='jabber:client'/>", vec!["<iq xmlns='jabber:client'/>"]),
            (
                "<r xmlns='urn:xmpp:sm:3'/><presence/>",
                vec!["<r xmlns='urn:xmpp:sm:3'/>", "<presence/>"],
            ),
        ];
        for (inside, expected) in table {
            assert_eq!(payload(inside), expected, "{inside}");
        }
        for bytes in payload("<message><x:a/><body>1 &gt; 0</body></message>") {
            let frame = Frame::from_bytes(bytes).unwrap();
            assert!(frame.root().is(ns::CLIENT, "message"));
            assert!(frame.root().has_child("urn:x", "a"));
            assert_eq!(frame.root().child(ns::CLIENT, "body").unwrap().text(), "1 > 0");
        }
    }

    #[test]
    fn a_wrapper_with_a_prefix_gives_its_children_nothing() {
        let xml = "<b:body xmlns:b='http://jabber.org/protocol/httpbind' sid='a&gt;b'>\
                   <iq xmlns='jabber:client'/></b:body>";
        let wrapper = parse(xml).unwrap();
        assert_eq!(wrapper.attr("sid").as_deref(), Some("a>b"));
        assert_eq!(wrapper.payload, ["<iq xmlns='jabber:client'/>"]);
    }

    #[test]
    fn what_is_no_wrapper_is_refused() {
        let ns = "xmlns='http://jabber.org/protocol/httpbind'";
        let table = [
            "",
            "text",
            "<body/>",
            "<body xmlns='jabber:client'/>",
            &format!("<message {ns}/>"),
            &format!("<body {ns}>"),
            &format!("<body {ns}/><body {ns}/>"),
            &format!("<body {ns}>text</body>"),
            &format!("<body {ns}><![CDATA[text]]></body>"),
            &format!("<body {ns}><!-- comment --></body>"),
            &format!("<body {ns}><?pi?></body>"),
            &format!("<!DOCTYPE body><body {ns}/>"),
            &format!("<body {ns}><a></b></body>"),
            &format!("<body {ns}><x:a/></body>"),
            &format!("<body {ns}>&entity;</body>"),
            &format!("<body {ns} rid='1' rid='2'/>"),
            &format!("<body {ns}><message>{}</message></body>", "x".repeat(300_000)),
            &format!("<body {ns}>{}</body>", "<presence/>".repeat(60_000)),
        ];
        for xml in table {
            assert!(parse(xml).is_err(), "{}", &xml[..xml.len().min(100)]);
        }
    }

    #[test]
    fn the_session_is_known_when_the_tag_is_there() {
        let all = "<?xml version='1.0'?> <body x='>' sid='abc' xmlns='http://jabber.org/protocol/httpbind'>";
        let peek = |text: &str| {
            let tag = OpenTag::default().find(text.as_bytes()).map(<[u8]>::to_vec)?;
            Wrapper::peek_sid(&tag, Limits::default())
        };
        assert_eq!(peek("<body sid='abc'><message>"), Some("abc".to_owned()));
        assert_eq!(peek(all), Some("abc".to_owned()));
        let mut in_pieces = OpenTag::default();
        for end in 0..all.len() {
            assert_eq!(peek(&all[..end]), None);
            assert_eq!(in_pieces.find(&all.as_bytes()[..end]), None);
        }
        let tag = in_pieces.find(all.as_bytes()).unwrap();
        assert_eq!(Wrapper::peek_sid(tag, Limits::default()).as_deref(), Some("abc"));
        assert_eq!(in_pieces.find(format!("{all}<a sid='b'>").as_bytes()), None, "once");
        assert_eq!(peek("<body rid='1'/>"), None);
        assert_eq!(peek("<body sid='a' sid='b'/>"), None);
    }

    #[test]
    fn a_tag_that_comes_byte_by_byte_costs_no_more_than_its_length() {
        let all = format!("<body x='{}' sid='abc'>", ">".repeat(1 << 20));
        let mut open_tag = OpenTag::default();
        for end in 0..all.len() {
            assert!(open_tag.find(&all.as_bytes()[..end]).is_none());
        }
        assert_eq!(open_tag.find(all.as_bytes()), Some(&all.as_bytes()[..all.len() - 1]));
    }
}
