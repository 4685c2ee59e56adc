//! What the XML floor refuses, and what holds for everything it takes: it is read as another
//! parser reads it, however it was cut, and what is written can be read.

mod xml_oracle;

use bytes::Bytes;
use minidom::Element;
use minidom::rxml::{Namespace, NcName};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use waxwing::xml::{Frame, Framer, Limit, Limits, Piece, Scope, XmlError, element, header, writer};
use xml_oracle::{agree, children, receive, stands_alone};

const LIMITS: Limits = Limits { bytes: 16 * 1024, depth: 8, attributes: 8, nodes: 64 };

const OPEN: &str = "<stream:stream xmlns='jabber:client' \
                    xmlns:stream='http://etherx.jabber.org/streams'>";

const END: &str = "</stream:stream>";

#[test]
fn what_is_ill_formed_is_refused_with_its_condition() {
    for (input, condition) in ILL_FORMED {
        let parsed = Frame::parse(bytes(input), &Scope::default(), &LIMITS);
        let found = parsed.map_or_else(XmlError::condition, |_| "accepted");
        assert_eq!(found, *condition, "{input}");
        // Through a stream, too, nothing of it is taken that rxml would not take.
        let stream = format!("{OPEN}{input}{END}");
        agree(stream.as_bytes(), &receive([stream.as_bytes()], LIMITS));
        let theirs = children(stream.as_bytes()).filter(|children| children.len() == 1);
        assert!(theirs.is_none() || RXML_TAKES.contains(input), "rxml takes {input}");
    }
}

/// What a child of the stream must not be, with the condition the peer is told.
const ILL_FORMED: &[(&str, &str)] = &[
    // What XML 1.0 forbids.
    ("<a b='<'/>", "not-well-formed"),
    ("<a>\u{1}</a>", "not-well-formed"),
    ("<a>\u{0}</a>", "not-well-formed"),
    ("<a>\u{FFFF}</a>", "not-well-formed"),
    ("<a>\u{FFFE}</a>", "not-well-formed"),
    ("<a b='\u{1F}'/>", "not-well-formed"),
    ("<a>&#1;</a>", "not-well-formed"),
    ("<a>&#0;</a>", "not-well-formed"),
    ("<a>&#xFFFF;</a>", "not-well-formed"),
    ("<a>&#xD800;</a>", "not-well-formed"),
    ("<a>&#x110000;</a>", "not-well-formed"),
    ("<a>&#;</a>", "not-well-formed"),
    ("<a>&#x;</a>", "not-well-formed"),
    ("<a>&#X41;</a>", "not-well-formed"),
    ("<a>&#+65;</a>", "not-well-formed"),
    ("<a b='&#1;'/>", "not-well-formed"),
    ("<a>& b</a>", "not-well-formed"),
    ("<a>&amp</a>", "not-well-formed"),
    ("<a>&;</a>", "not-well-formed"),
    ("<a b='&'/>", "not-well-formed"),
    ("<a b='&amp'/>", "not-well-formed"),
    ("<a>]]></a>", "not-well-formed"),
    ("<a>]]]></a>", "not-well-formed"),
    ("<a><![CDATA[x]]>]]></a>", "not-well-formed"),
    ("<1a/>", "not-well-formed"),
    ("<-a/>", "not-well-formed"),
    ("<a!b/>", "not-well-formed"),
    ("<a><b<c/></a>", "not-well-formed"),
    ("<a 1b='c'/>", "not-well-formed"),
    ("<a b!='c'/>", "not-well-formed"),
    ("<a b='1'c='2'/>", "not-well-formed"),
    ("<a b='1'\u{A0}c='2'/>", "not-well-formed"),
    ("<a b='1' b='2'/>", "not-well-formed"),
    ("<a b/>", "not-well-formed"),
    ("<a b=/>", "not-well-formed"),
    ("<a b=c/>", "not-well-formed"),
    ("<a b='c\"/>", "not-well-formed"),
    ("<a b=\"c'/>", "not-well-formed"),
    ("<a ='c'/>", "not-well-formed"),
    ("<a / >", "not-well-formed"),
    ("<a/ b='c'>", "not-well-formed"),
    ("< a/>", "not-well-formed"),
    ("<>", "not-well-formed"),
    ("</>", "not-well-formed"),
    ("<a></>", "not-well-formed"),
    ("<a></b>", "not-well-formed"),
    ("<a></ a>", "not-well-formed"),
    ("<a></a b='c'>", "not-well-formed"),
    ("<a></a/>", "not-well-formed"),
    ("<a><b></a></b>", "not-well-formed"),
    ("<a>", "not-well-formed"),
    ("<a", "not-well-formed"),
    ("<a><![CDATA[x]]</a>", "not-well-formed"),
    ("</a>", "not-well-formed"),
    ("<a/>b", "not-well-formed"),
    ("<a/><b/>", "not-well-formed"),
    ("<a/></a>", "not-well-formed"),
    // What Namespaces in XML forbids.
    ("<a:b:c/>", "not-well-formed"),
    ("<a:/>", "not-well-formed"),
    ("<:a/>", "not-well-formed"),
    ("<a><b :c='d'/></a>", "not-well-formed"),
    ("<p:a/>", "bad-namespace-prefix"),
    ("<a p:b='c'/>", "bad-namespace-prefix"),
    ("<a><p:b xmlns:p='urn:p'/><p:c/></a>", "bad-namespace-prefix"),
    ("<a><b xmlns:p=''/></a>", "bad-namespace-prefix"),
    ("<xmlns:a/>", "bad-namespace-prefix"),
    ("<a xmlns:xmlns='urn:a'/>", "bad-namespace-prefix"),
    ("<a xmlns:xml='urn:a'/>", "bad-namespace-prefix"),
    ("<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", "bad-namespace-prefix"),
    ("<a xmlns:p='http://www.w3.org/2000/xmlns/'/>", "bad-namespace-prefix"),
    ("<a xmlns='http://www.w3.org/XML/1998/namespace'/>", "bad-namespace-prefix"),
    ("<a xmlns='http://www.w3.org/2000/xmlns/'/>", "bad-namespace-prefix"),
    ("<a xmlns='urn:a' xmlns='urn:a'/>", "not-well-formed"),
    ("<a xmlns:p='urn:a' xmlns:p='urn:b'/>", "not-well-formed"),
    ("<a xmlns:p='urn:a' xmlns:q='urn:a' p:k='1' q:k='2'/>", "not-well-formed"),
    ("<a xmlns:p='urn:&amp;' xmlns:q='urn:&#38;' p:k='1' q:k='2'/>", "not-well-formed"),
    // What RFC 6120 §11.1 forbids.
    ("<!DOCTYPE a><a/>", "restricted-xml"),
    ("<a><!DOCTYPE a></a>", "restricted-xml"),
    ("<a><!ENTITY b 'c'></a>", "restricted-xml"),
    ("<a><!-- b --></a>", "restricted-xml"),
    ("<a><!--></a>", "restricted-xml"),
    ("<!-- b --><a/>", "restricted-xml"),
    ("<a><?b c?></a>", "restricted-xml"),
    ("<a><?xml version='1.0'?></a>", "restricted-xml"),
    ("<?xml version='1.0'?><a/>", "restricted-xml"),
    ("<a>&foo;</a>", "restricted-xml"),
    ("<a>&nbsp;</a>", "restricted-xml"),
    ("<a b='&foo;'/>", "restricted-xml"),
    ("<a/><!-- b -->", "not-well-formed"),
    // What has no place between children.
    ("b<a/>", "bad-format"),
    (" <a/>", "bad-format"),
    ("", "bad-format"),
];

/// What rxml takes although it is ill-formed, or because the stream around it makes it well-formed.
const RXML_TAKES: &[&str] = &[
    "<a xmlns='urn:a' xmlns='urn:a'/>",
    "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
    "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
    " <a/>",
    "b<a/>",
    "<a/>b",
];

#[test]
fn bytes_that_are_no_utf_8_are_refused() {
    let inputs: [&[u8]; 6] = [
        b"<a>\xFF</a>",
        b"<a>\xC3</a>",
        b"<a>\xC0\xBC</a>",
        b"<a>\xED\xA0\x80</a>",
        b"<a b='\xE4'/>",
        b"<\xE4/>",
    ];
    for input in inputs {
        let parsed = Frame::parse(Bytes::from_static(input), &Scope::default(), &LIMITS);
        assert_eq!(parsed, Err(XmlError::UnsupportedEncoding), "{}", input.escape_ascii());
    }
}

#[test]
fn what_is_well_formed_is_taken_and_copied() {
    for input in WELL_FORMED {
        let frame = parse(input);
        assert_eq!(frame.bytes(), input.as_bytes(), "written anew");
        let stream = format!("{OPEN}{input}{END}");
        assert_eq!(children(stream.as_bytes()), Some(vec![frame.root().to_tree()]), "{input}");
        let outcome = receive([stream.as_bytes()], LIMITS);
        assert_eq!((&outcome.frames[..], outcome.ended), (&[frame][..], true), "{input}");
        agree(stream.as_bytes(), &outcome);
    }
}

const WELL_FORMED: &[&str] = &[
    "<a/>",
    "<a />",
    "<a></a >",
    "<a\n\tb = '1'\r\n c=\"'\"  />",
    "<message to='a@b' xml:lang='en'><body>caf\u{e9} &amp; &#x1F600; ]] ]&gt;</body></message>",
    "<a><![CDATA[<&]]]]><![CDATA[>]]></a>",
    "<a><![CDATA[]]></a>",
    "<a>]]&gt;</a>",
    "<a>></a>",
    "<a b='>' c='/>' d=']]>'/>",
    "<a xmlns=''><b xmlns='urn:b'><c xmlns=''/></b></a>",
    "<a xmlns='jabber:client'/>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>",
    "<a><p:b xmlns:p='urn:p' p:k='1' k='2'><p:c xmlns:p='urn:q' xml:lang='de'/></p:b></a>",
    "<a><b xmlns:p='urn:p' xmlns:q='urn:q' p:k='1' q:k='2' k='3'/></a>",
    "<a><x xmlns='urn:a&amp;b'><y/></x></a>",
    "<\u{438}\u{43c}\u{44f} \u{43a}='1'/>",
    "<a b='x\r\ny\tz&#10;&#13;'>x\r\ny\rz&#13;</a>",
];

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

#[test]
fn a_child_that_grows_by_its_namespaces_is_refused() {
    let long = "u".repeat(1000);
    let open = format!("<s xmlns='jabber:client' xmlns:p='{long}'>");
    let scope = Scope::from_header(&header(open.as_bytes()).unwrap());
    let input = format!("<a>{}</a>", "<p:b/>".repeat(60));
    let parsed = Frame::parse(bytes(&input), &scope, &LIMITS);
    assert_eq!(parsed, Err(XmlError::TooLarge(Limit::Bytes)));
}

#[test]
fn each_limit_is_kept_and_named() {
    let parse = |input: &str| Frame::parse(bytes(input), &Scope::default(), &LIMITS).map(|_| ());
    let nested = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
    let attributes = |n: usize| {
        let all: String = (0..n).map(|n| format!(" a{n}=''")).collect();
        format!("<a{all}/>")
    };
    let bindings = |n: usize| {
        let all: String = (0..n).map(|n| format!(" xmlns:a{n}='u'")).collect();
        format!("<a>{}", format!("<b{all}>").repeat(17))
    };
    let many = |n: usize| format!("<a>{}</a>", "<b/>".repeat(n));
    let long = |n: usize| format!("<a>{}</a>", "x".repeat(n - 7));
    assert_eq!(parse(&nested(8)), Ok(()));
    assert_eq!(parse(&nested(9)), Err(XmlError::TooLarge(Limit::Depth)));
    assert_eq!(parse(&attributes(8)), Ok(()));
    assert_eq!(parse(&attributes(9)), Err(XmlError::TooLarge(Limit::Attributes)));
    assert_eq!(parse(&many(63)), Ok(()));
    assert_eq!(parse(&many(64)), Err(XmlError::TooLarge(Limit::Nodes)));
    assert_eq!(parse(&long(LIMITS.bytes)), Ok(()));
    assert_eq!(parse(&long(LIMITS.bytes + 1)), Err(XmlError::TooLarge(Limit::Bytes)));
    assert_eq!(parse(&format!("<{}/>", "a".repeat(1025))), Err(XmlError::TooLarge(Limit::Name)));
    let long_ns = format!("<a xmlns='{}'/>", "a".repeat(1025));
    assert_eq!(parse(&long_ns), Err(XmlError::TooLarge(Limit::Name)));
    let deep = Frame::parse(bytes(&bindings(8)), &Scope::default(), &Limits::STORED);
    assert_eq!(deep, Err(XmlError::TooLarge(Limit::Prefixes)));
    assert_eq!(XmlError::TooLarge(Limit::Depth).condition(), "policy-violation");
}

#[test]
fn a_hundred_thousand_elements_deep_ends_nothing_but_the_stream() {
    let stream = format!("{OPEN}{}", "<a>".repeat(100_000));
    let outcome = receive([stream.as_bytes()], Limits { bytes: 1 << 20, ..LIMITS });
    assert_eq!(outcome.error, Some(XmlError::TooLarge(Limit::Depth)));
    let parsed = Frame::from_bytes("<a>".repeat(100_000));
    assert_eq!(parsed, Err(XmlError::TooLarge(Limit::Depth)));
    // The deepest there can be is read, made a tree and dropped without using up the stack.
    let deep = Limits { depth: usize::MAX, ..Limits::STORED };
    let input = format!("{}{}", "<a>".repeat(1000), "</a>".repeat(1000));
    let frame = Frame::parse(bytes(&input), &Scope::default(), &deep).unwrap();
    assert_eq!(Frame::from_tree(&frame.root().to_tree()), Err(XmlError::TooLarge(Limit::Depth)));
}

#[test]
fn a_stream_is_refused_at_the_first_byte_that_shows_it() {
    let cases: &[(&str, XmlError)] = &[
        ("\u{FEFF}", XmlError::BadFormat),
        ("x", XmlError::BadFormat),
        ("<!", XmlError::RestrictedXml),
        ("<!D", XmlError::RestrictedXml),
        ("</", XmlError::NotWellFormed),
        ("< ", XmlError::NotWellFormed),
        (" <?", XmlError::RestrictedXml),
        ("<?p", XmlError::RestrictedXml),
        ("<?xml version='1.0'?><?", XmlError::RestrictedXml),
        ("<?xml version='1.0' encoding='latin1'?>", XmlError::UnsupportedEncoding),
        ("<stream:stream/>", XmlError::BadFormat),
        ("<s>\u{1}", XmlError::NotWellFormed),
        ("<s>x", XmlError::BadFormat),
        ("<s><![CDATA[", XmlError::BadFormat),
        ("<s><!-", XmlError::RestrictedXml),
        ("<s><?", XmlError::RestrictedXml),
        ("<s><a><!D", XmlError::RestrictedXml),
        ("<s><a><?", XmlError::RestrictedXml),
        ("<s><a b='<", XmlError::NotWellFormed),
        ("<s><a><1", XmlError::NotWellFormed),
        ("<s></t>", XmlError::NotWellFormed),
        ("<s><a><a><a><a><a><a><a><a><a", XmlError::TooLarge(Limit::Depth)),
    ];
    for (input, expected) in cases {
        let outcome = receive([input.as_bytes()], LIMITS);
        // The first `!` may still begin CDATA.
        let expected = if *input == "<!" { None } else { Some(*expected) };
        assert_eq!(outcome.error, expected, "{input}");
    }
    let utf_16: [&[u8]; 4] = [b"\xFF\xFE<\0", b"\xFE\xFF\0<", b"<\0s\0", b"\0<\0s"];
    for input in utf_16 {
        assert_eq!(receive([input], LIMITS).error, Some(XmlError::UnsupportedEncoding));
    }
}

#[test]
fn memory_is_bounded_before_a_child_is_whole() {
    let tiny = Limits { bytes: 100, ..LIMITS };
    let mut framer = Framer::new(tiny);
    assert!(matches!(framer.next(b"<s>"), Ok(Some(Piece::Header(_)))));
    framer.drop_front(3);
    let mut buffer = b"<a>".to_vec();
    buffer.resize(99, b'x');
    assert_eq!(framer.next(&buffer), Ok(None));
    buffer.push(b'x');
    assert_eq!(framer.next(&buffer), Err(XmlError::TooLarge(Limit::Bytes)));
    // Exactly as many bytes are fine, a larger limit too.
    let whole = format!("<s xmlns='jabber:client'><a>{}</a>", "x".repeat(93));
    assert_eq!(receive([whole.as_bytes()], tiny).frames.len(), 1);
    let over = format!("<s xmlns='jabber:client'><a>{}</a>", "x".repeat(94));
    assert_eq!(receive([over.as_bytes()], tiny).error, Some(XmlError::TooLarge(Limit::Bytes)));
    let header = format!("<s to='{}'>", "x".repeat(9000));
    let outcome = receive([header.as_bytes()], LIMITS);
    assert_eq!(outcome.error, Some(XmlError::TooLarge(Limit::Bytes)));
}

#[test]
fn white_space_between_children_does_not_pile_up() {
    let mut framer = Framer::new(Limits { bytes: 100, ..LIMITS });
    assert!(matches!(framer.next(b"<s>"), Ok(Some(Piece::Header(_)))));
    framer.drop_front(3);
    for _ in 0..1000 {
        assert_eq!(framer.next(b" \n\t\r"), Ok(None));
        assert_eq!(framer.disposable(), 4);
        framer.drop_front(4);
    }
    assert_eq!(framer.next(b"  <a/>"), Ok(Some(Piece::Child(2..6))));
}

#[test]
fn a_stream_restarts_with_or_without_declaration() {
    for again in ["<t>", "<?xml version='1.0'?><t>", " \n<?xml version='1.0'?>\n<t>"] {
        let mut framer = Framer::new(LIMITS);
        let first = "<?xml version='1.0'?> <s><auth/>";
        assert_eq!(framer.next(first.as_bytes()), Ok(Some(Piece::Header(22..25))));
        assert_eq!(framer.next(first.as_bytes()), Ok(Some(Piece::Child(25..32))));
        framer.drop_front(32);
        framer.restart();
        framer.set_limits(Limits { bytes: 200, ..LIMITS });
        let second = format!("{again}<a/></t>");
        let at = again.len();
        assert_eq!(framer.next(second.as_bytes()), Ok(Some(Piece::Header(at - 3..at))));
        assert_eq!(framer.next(second.as_bytes()), Ok(Some(Piece::Child(at..at + 4))));
        assert_eq!(framer.next(second.as_bytes()), Ok(Some(Piece::End)));
        assert_eq!(framer.disposable(), second.len());
        assert_eq!(framer.next(format!("{second}<x").as_bytes()), Ok(None));
        assert_eq!(framer.disposable(), second.len() + 2);
    }
}

#[test]
fn a_header_is_read_by_namespace() {
    let found = header(
        b"<flow:stream from='a@b' to=\"b\" id='1' version='1.0' xml:lang='de' xmlns='jabber:client' \
          xmlns:flow='http://etherx.jabber.org/streams' xmlns:x='urn:x' x:to='c' other='d' >",
    )
    .unwrap();
    assert_eq!((&*found.ns, &*found.name), ("http://etherx.jabber.org/streams", "stream"));
    assert_eq!(found.default_namespace, "jabber:client");
    assert_eq!(found.to.as_deref(), Some("b"));
    assert_eq!(found.from.as_deref(), Some("a@b"));
    assert_eq!(found.id.as_deref(), Some("1"));
    assert_eq!(found.version.as_deref(), Some("1.0"));
    assert_eq!(found.lang.as_deref(), Some("de"));
    assert_eq!(found.prefixes[1], ("x".to_owned(), "urn:x".to_owned()));
    let refused = [
        ("<s:stream>", XmlError::BadNamespacePrefix),
        ("<stream x:to='a'>", XmlError::BadNamespacePrefix),
        ("<stream xmlns:xml='a'>", XmlError::BadNamespacePrefix),
        ("<stream to='a' to='b'>", XmlError::NotWellFormed),
        ("<stream xmlns='a' xmlns='a'>", XmlError::NotWellFormed),
        ("<stream xmlns='' xmlns='a'>", XmlError::NotWellFormed),
        ("<stream xmlns:a='a' xmlns:a='a'>", XmlError::NotWellFormed),
        ("<stream to='&x;'>", XmlError::RestrictedXml),
        ("<stream to='a'from='b'>", XmlError::NotWellFormed),
        ("<stream to='a'/>", XmlError::BadFormat),
        ("<stream to='\u{1}'>", XmlError::NotWellFormed),
        ("stream", XmlError::NotWellFormed),
        ("<>", XmlError::NotWellFormed),
    ];
    for (input, error) in refused {
        assert_eq!(header(input.as_bytes()), Err(error), "{input}");
    }
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
