//! Whatever the bytes, nothing panics, and what is taken another parser takes too.
//!
//! These run as ordinary tests for a moment each. For longer: `cargo bolero test --test fuzz
//! <name>`, or `BOLERO_RANDOM_ITERATIONS=1000000 cargo test --release --test fuzz`.

mod xml_oracle;

use bolero::check;
use bytes::Bytes;
use waxwing::xml::{ElementRef, Frame, Limits, Scope, header};
use xml_oracle::{agree, receive, stands_alone};

#[test]
fn any_bytes_are_a_stream_or_refused() {
    check!().with_iterations(3000).with_max_len(512).for_each(|input: &[u8]| {
        let open = [OPEN.as_bytes(), input].concat();
        for stream in [input, &open] {
            let whole = receive([stream], LIMITS);
            agree(stream, &whole);
            let single = receive(stream.chunks(1), LIMITS);
            assert_eq!(whole.error, single.error);
            assert_eq!(whole.frames, single.frames);
        }
    });
}

#[test]
fn any_bytes_are_an_element_or_refused() {
    check!().with_iterations(3000).with_max_len(512).for_each(|input: &[u8]| {
        let scope = Scope::default();
        if let Ok(frame) = Frame::parse(Bytes::copy_from_slice(input), &scope, &LIMITS) {
            stands_alone(&frame);
        }
        if let Ok(header) = header(input) {
            assert!(!header.name.is_empty());
        }
    });
}

/// Bytes stand for pieces of XML, so that many inputs are nearly well-formed.
#[test]
fn words_of_xml_in_any_order_are_a_stream_or_refused() {
    check!().with_iterations(3000).with_max_len(24).for_each(|input: &[u8]| {
        let words = input.iter().map(|&byte| WORDS[usize::from(byte) % WORDS.len()]);
        let stream = format!("{OPEN}<a>{}</a>", words.collect::<String>());
        let outcome = receive([stream.as_bytes()], LIMITS);
        agree(stream.as_bytes(), &outcome);
        for frame in &outcome.frames {
            visit(frame, frame.root());
        }
    });
}

/// A good stream with a few bytes put elsewhere, replaced or left out.
#[test]
fn a_good_stream_with_faults_is_a_stream_or_refused() {
    check!().with_iterations(3000).with_type::<Vec<(u16, u8, u8)>>().for_each(|faults| {
        let mut stream = GOOD.as_bytes().to_vec();
        for &(at, kind, byte) in faults.iter().take(4) {
            let at = usize::from(at) % stream.len();
            match kind % 4 {
                0 => stream[at] = byte,
                1 => stream.insert(at, byte),
                2 => drop(stream.remove(at)),
                _ => {
                    let to = usize::from(byte) % stream.len();
                    stream.swap(at, to);
                }
            }
        }
        let outcome = receive([&stream[..]], LIMITS);
        agree(&stream, &outcome);
        for frame in &outcome.frames {
            visit(frame, frame.root());
        }
    });
}

/// Reads everything there is to be read; ranges must be ranges of the frame.
fn visit(frame: &Frame, element: ElementRef<'_>) {
    let bytes = frame.bytes();
    assert!(bytes[element.range()].starts_with(b"<"));
    assert!(bytes[element.range()].ends_with(b">"));
    assert!(element.range().end >= element.inner().end);
    let text = element.text();
    assert!(!element.has_text() || !text.is_empty());
    for (ns, name, _) in element.attrs() {
        assert!(element.attr_ns(ns, name).is_some());
    }
    for (_, name, range) in element.raw_attrs() {
        assert!(bytes[range].windows(name.len()).any(|part| part == name.as_bytes()));
    }
    for child in element.children() {
        assert!(element.has_child(child.ns(), child.name()));
        visit(frame, child);
    }
}

const LIMITS: Limits = Limits { bytes: 4096, depth: 8, attributes: 8, nodes: 64 };

const OPEN: &str = "<s:stream xmlns='jabber:client' xmlns:p='urn:p' \
                    xmlns:s='http://etherx.jabber.org/streams'>";

const GOOD: &str = "<?xml version='1.0'?><stream:stream to='localhost' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' xmlns:p='urn:p' version='1.0'>\n\
    <message to='a@b/c' type='chat' id='1' xml:lang='en'><body>a &amp; b &#x1F600;</body>\
    <p:x p:k='1' k='2'><y xmlns=''/></p:x><![CDATA[]]></message> \
    <iq type='get' id=\"2\"><q:query xmlns:q='jabber:iq:roster'><q:item jid='d'/></q:query></iq>\
    <presence/></stream:stream>";

const WORDS: &[&str] = &[
    "<",
    ">",
    "/",
    "=",
    "'",
    "\"",
    " ",
    "\n",
    "&",
    ";",
    "a",
    "b",
    "p:",
    "q:",
    ":",
    "xmlns",
    "<a>",
    "</a>",
    "<b/>",
    "<a ",
    "/>",
    "k='1'",
    " k=\"2\"",
    " p:k='3'",
    " xmlns=''",
    " xmlns='urn:a'",
    " xmlns:q='urn:q'",
    "<p:a>",
    "</p:a>",
    "<q:a xmlns:q='urn:q'>",
    "</q:a>",
    "<![CDATA[",
    "]]>",
    "&amp;",
    "&#65;",
    "&#x0;",
    "&x;",
    "<!",
    "--",
    "<?",
    "?>",
    "</s:stream>",
    "\u{e9}",
    "\r",
    "<b>",
    "</b>",
    "text",
    "xml:lang='e'",
    "xml",
    "<a xmlns='urn:b' xmlns:p='urn:c' p:k=''>",
];
