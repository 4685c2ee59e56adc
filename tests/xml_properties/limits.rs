//! Limits, and the outside of a stream: its header, white space, its beginning.

use waxwing::xml::{Frame, Framer, Limit, Limits, Piece, Scope, XmlError, header};

use super::xml_oracle::receive;
use super::{LIMITS, OPEN, bytes};

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
