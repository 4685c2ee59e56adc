//! What is well-formed is taken, and nothing else.

use bytes::Bytes;
use waxwing::xml::{Frame, Scope, XmlError};

use super::xml_oracle::{agree, children, receive};
use super::{END, LIMITS, OPEN, bytes, parse};

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
