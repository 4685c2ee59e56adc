//! What the XML floor refuses, and what holds for everything it takes: it is read as another
//! parser reads it, however it was cut, and what is written can be read.

#[path = "xml_properties/limits.rs"]
mod limits;
#[path = "xml_properties/well_formed.rs"]
mod well_formed;
mod xml_oracle;

use bytes::Bytes;
use minidom::Element;
use minidom::rxml::{Namespace, NcName};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use waxwing::xml::{Frame, Limits, Scope, element, header, writer};
use xml_oracle::{agree, children, receive, stands_alone};

const LIMITS: Limits = Limits { bytes: 16 * 1024, depth: 8, attributes: 8, nodes: 64 };

const OPEN: &str = "<stream:stream xmlns='jabber:client' \
                    xmlns:stream='http://etherx.jabber.org/streams'>";

const END: &str = "</stream:stream>";

#[test]
fn what_needs_its_stream_is_written_anew() {
    let header = "<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' \
                  xmlns:p='urn:p' xmlns:c='jabber:client'>";
    let cases = [
        ("<p:a/>", "<a xmlns='urn:p'/>"),
        ("<s:error/>", "<error xmlns='http://etherx.jabber.org/streams'/>"),
        ("<c:a><c:b>x</c:b></c:a>", "<a><b>x</b></a>"),
        ("<a><p:b k=\"1\"><c/></p:b></a>", "<a><p:b xmlns:p='urn:p' k=\"1\"><c/></p:b></a>"),
        (
            "<a><p:b><c/><p:d/></p:b ><p:b/></a>",
            "<a><p:b xmlns:p='urn:p'><c/><p:d/></p:b ><p:b xmlns:p='urn:p'/></a>",
        ),
        ("<a xmlns:q='urn:q'><q:b/></a>", "<a xmlns:q='urn:q'><q:b xmlns:q='urn:q'/></a>"),
        // What is declared around it, nobody inside needs.
        (
            "<a xmlns:q='urn:q' q:k='q:1'><b q='2'/></a>",
            "<a xmlns:q='urn:q' q:k='q:1'><b q='2'/></a>",
        ),
        (
            "<a><b><d xmlns:p='urn:q' p:k='1'/></b></a>",
            "<a><b><d xmlns:p='urn:q' p:k='1'/></b></a>",
        ),
        ("<a><b p:k='1' xml:lang='de'/></a>", "<a><b xmlns:p='urn:p' p:k='1' xml:lang='de'/></a>"),
        ("<a p:k='1' k='2'><b/></a>", "<a xmlns:p='urn:p' p:k='1' k='2'><b/></a>"),
        ("<q:a xmlns:q='urn:&lt;'/>", "<a xmlns='urn:&lt;' xmlns:q='urn:&lt;'/>"),
        ("<p:a><b xmlns=''/></p:a>", "<a xmlns='urn:p'><b xmlns=''/></a>"),
        ("<p:a><b/><p:b/></p:a>", "<a xmlns='urn:p'><b xmlns='jabber:client'/><b/></a>"),
        // Another default namespace, of which something inside is.
        (
            "<c:a xmlns = 'urn:x' k='1'><c:b><d/></c:b><c:e/><d/></c:a>",
            "<a k='1'><c:b xmlns:c='jabber:client' xmlns='urn:x'><d/></c:b><e/><d xmlns='urn:x'/></a>",
        ),
        // A prefix that is used for attributes as well.
        ("<c:a><c:b c:k='1'/></c:a>", "<a><b xmlns:c='jabber:client' c:k='1'/></a>"),
    ];
    for (input, expected) in cases {
        let stream = format!("{header}{input}</s:stream>");
        let outcome = receive([stream.as_bytes()], LIMITS);
        assert_eq!(outcome.error, None, "{input}");
        assert_eq!(outcome.frames[0].bytes(), expected.as_bytes());
        agree(stream.as_bytes(), &outcome);
    }
}

#[test]
fn the_vocabulary_of_servers_is_read_as_that_of_clients() {
    let open = "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
                xmlns:stream='http://etherx.jabber.org/streams'>";
    let scope = Scope::from_header(&header(open.as_bytes()).unwrap());
    assert_eq!(scope.content_namespace(), "jabber:server");
    let cases = [
        ("<message><body/></message>", "<message><body/></message>"),
        (
            "<message xmlns='jabber:server'><body/></message>",
            "<message xmlns='jabber:client'><body/></message>",
        ),
        (
            "<message><s:body xmlns:s='jabber:server'/></message>",
            "<message><s:body xmlns:s='jabber:client'/></message>",
        ),
        ("<db:result>k</db:result>", "<result xmlns='jabber:server:dialback'>k</result>"),
    ];
    for (input, expected) in cases {
        let frame = Frame::parse(bytes(input), &scope, &LIMITS).unwrap();
        assert_eq!(frame.bytes(), expected.as_bytes());
        stands_alone(&frame);
    }
    // Not on a client's stream.
    let frame = parse("<message xmlns='jabber:server'/>");
    assert_eq!(frame.root().ns(), "jabber:server");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn framing_does_not_depend_on_how_bytes_are_cut(
        stream in stream(),
        cuts in vec(any::<Index>(), 0..6),
        limit in prop_oneof![Just(LIMITS.bytes), 20..200_usize],
    ) {
        let limits = Limits { bytes: limit, ..LIMITS };
        let bytes = stream.as_bytes();
        let whole = receive([bytes], limits);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let mut from = 0;
        let chunks = cuts.iter().map(|&to| &bytes[std::mem::replace(&mut from, to)..to]);
        let cut = receive(chunks, limits);
        let single = receive(bytes.chunks(1), limits);
        for other in [cut, single] {
            prop_assert_eq!(&whole.frames, &other.frames);
            prop_assert_eq!(whole.error, other.error);
            prop_assert_eq!(whole.used, other.used);
            prop_assert_eq!(&whole.header, &other.header);
            prop_assert_eq!(whole.ended, other.ended);
        }
    }

    #[test]
    fn what_is_accepted_rxml_accepts_and_reads_the_same(stream in stream()) {
        agree(stream.as_bytes(), &receive([stream.as_bytes()], LIMITS));
    }

    #[test]
    fn what_is_built_is_read_back(value in any::<String>(), text in any::<String>()) {
        let allowed = |c: &char| !matches!(c, '\0'..'\t' | '\x0B' | '\x0C' | '\x0E'..' ')
            && !matches!(c, '\u{FFFE}' | '\u{FFFF}');
        let node = element("a").ns(&value).attr("k", &value).text(&text).child(
            element("b").maybe_attr("k", Some(&text)).text(&value).raw("<c/>"),
        );
        let document = [b"<s>", &node.to_bytes()[..], b"</s>"].concat();
        let found = children(&document).unwrap().remove(0);
        let value: String = value.chars().filter(allowed).collect();
        let text: String = text.chars().filter(allowed).collect();
        prop_assert_eq!(found.attr("k"), Some(&*value));
        prop_assert_eq!(found.text(), text.as_str());
        let inner = found.get_child("b", value.as_str()).unwrap();
        prop_assert_eq!(inner.attr("k"), Some(&*text));
        prop_assert_eq!(inner.text(), value.as_str());
        prop_assert!(inner.has_child("c", value.as_str()));
    }

    #[test]
    fn what_is_written_is_read_back(tree in tree(), outer in select(NAMESPACES)) {
        let mut out = Vec::new();
        writer::write_tree(&mut out, &tree, outer);
        let open = format!("<s xmlns='{}'>", outer.replace('&', "&amp;"));
        let document = [open.as_bytes(), &out, b"</s>"].concat();
        prop_assert_eq!(children(&document), Some(vec![tree.clone()]));
        let scope = Scope::from_header(&header(open.as_bytes()).unwrap());
        let frame = Frame::parse(out.into(), &scope, &Limits::STORED).unwrap();
        stands_alone(&frame);
        prop_assert_eq!(frame.root().to_tree(), tree);
    }
}

const NAMESPACES: &[&str] = &["", "jabber:client", "urn:a", "urn:b&c"];

/// Bits of which most streams are made, and some that break them.
const BITS: &[&str] = &[
    "<a>",
    "<a>",
    "</a>",
    "</a>",
    "</a >",
    "<a/>",
    "<b k='1'/>",
    "<p:a>",
    "</p:a>",
    "<q:b/>",
    "<a xmlns:q='urn:q'>",
    "<b q:k='1' p:k=\"2\"/>",
    "<q:a xmlns:q='urn:q'><q:b/></q:a>",
    "<a xmlns=''>",
    "<a xmlns='urn:x'>",
    "<a xml:lang='en'>",
    "text",
    " ",
    "\n",
    "&amp;",
    "&#65;",
    "\r\n",
    "<![CDATA[<x>]]>",
    "<![CDATA[]]]>",
    "]]&gt;",
    "\u{e9}",
    "<x k='&lt;&#10;\t'/>",
    "<a k='>'>",
    "<p:a p:k='1'><b/></p:a>",
    "<a><b>",
    "</b></a>",
    "<!-- -->",
    "]]>",
    "&x;",
    "<",
    "'",
    "\u{1}",
    "</stream:stream>",
    "<a k='1' k='2'/>",
    "<c:a/>",
    "<s:error/>",
];

const HEADERS: &[&str] = &[
    OPEN,
    "<?xml version='1.0'?>\n<stream:stream xmlns='jabber:client' to='a' xmlns:p='urn:p'\
     \n xmlns:stream='http://etherx.jabber.org/streams' xmlns:c='jabber:client'>",
    "<stream xmlns='http://etherx.jabber.org/streams' xmlns:p='urn:p&amp;'>",
    "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns:p='urn:p'>",
];

/// A stream that may be well-formed: random bits, with or without sense.
fn stream() -> impl Strategy<Value = String> {
    let child = prop_oneof![
        3 => vec(select(BITS), 1..8).prop_map(|bits| format!("<a>{}</a>", bits.concat())),
        1 => vec(select(BITS), 1..4).prop_map(|bits| bits.concat()),
        3 => balanced(),
    ];
    (select(HEADERS), vec(child, 0..5)).prop_map(|(open, rest)| format!("{open}{}", rest.concat()))
}

/// Well-formed elements with prefixes of every kind.
fn balanced() -> impl Strategy<Value = String> {
    let leaf = select(&["t", "&amp;", "<![CDATA[&]]>", " ", "\r\n", "<b/>"][..]);
    let tags = select(TAGS);
    leaf.prop_map(str::to_owned)
        .prop_recursive(4, 16, 4, move |inner| {
            (tags.clone(), vec(inner, 0..4)).prop_map(|((name, attributes), inner)| {
                format!("<{name}{attributes}>{}</{name}>", inner.concat())
            })
        })
        .prop_map(|inner| format!("<a>{inner}</a>"))
}

const TAGS: &[(&str, &str)] = &[
    ("a", ""),
    ("p:a", ""),
    ("p:a", " p:k='1' k='2'"),
    ("a", " xmlns='urn:x'"),
    ("a", " xmlns=''"),
    ("q:a", " xmlns:q='urn:q' q:k='&apos;'"),
    ("a", " xmlns='jabber:client' xml:lang='en'"),
    ("a", " xmlns:p='urn:other' p:k=\"'\""),
    ("p:a", " xmlns='urn:x' xmlns:p='jabber:client'"),
];

fn tree() -> impl Strategy<Value = Element> {
    let names = select(&["a", "b", "body", "\u{438}"][..]);
    let attribute_ns = select(&["", "", "http://www.w3.org/XML/1998/namespace", "urn:k"][..]);
    let attributes = vec((attribute_ns, names.clone(), text()), 0..3);
    let head = (names, select(NAMESPACES), attributes);
    let element = head
        .prop_map(|(name, ns, attributes)| {
            let mut element = Element::bare(name, ns);
            for (ns, name, value) in attributes {
                let name = NcName::try_from(name).expect("it is a name");
                element.set_attr(Namespace::from(ns.to_owned()), name, value);
            }
            element
        })
        .boxed();
    element.clone().prop_recursive(4, 24, 4, move |inner| {
        (element.clone(), vec((inner, text()), 0..4)).prop_map(|(mut element, children)| {
            for (child, text) in children {
                element.append_child(child);
                if !text.is_empty() {
                    element.append_text(text);
                }
            }
            element
        })
    })
}

fn text() -> impl Strategy<Value = String> {
    "[ -~\t\n\r\u{80}-\u{D7FF}\u{10000}-\u{10FFFF}]{0,12}"
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn parse(input: &str) -> Frame {
    Frame::parse(bytes(input), &Scope::default(), &LIMITS).expect("it is well-formed")
}
