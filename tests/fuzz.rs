//! Whatever the bytes, nothing panics, and what is taken another parser takes too.
//!
//! These run as ordinary tests for a moment each. For longer: `cargo bolero test --test fuzz
//! <name>`, or `BOLERO_RANDOM_ITERATIONS=1000000 cargo test --release --test fuzz`.

mod xml_oracle;

use bolero::check;
use bytes::Bytes;
use waxwing::stream::framing::Framing;
use waxwing::stream::header::StreamHeader;
use waxwing::stream::input::{StreamEvent, document};
use waxwing::stream::websocket::frames;
use waxwing::xml::{ElementRef, Frame, Limits, Scope, header};
use xml_oracle::{agree, children, receive, stands_alone};

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

/// RFC 7395 §3.3.3: what is taken stands in our memory as another parser reads it alone.
#[test]
fn any_message_is_one_element_or_refused() {
    check!().with_iterations(3000).with_max_len(512).for_each(|input: &[u8]| {
        one_element(input);
    });
}

#[test]
fn words_of_xml_in_a_message_are_one_element_or_refused() {
    check!().with_iterations(3000).with_max_len(24).for_each(|input: &[u8]| {
        let words = input.iter().map(|&byte| WORDS[usize::from(byte) % WORDS.len()]);
        let words: String = words.collect();
        one_element(words.as_bytes());
        one_element(format!("<a xmlns='jabber:client'>{words}</a>").as_bytes());
        one_element(format!("{words}<a xmlns='jabber:client'/>{words}").as_bytes());
    });
}

fn one_element(input: &[u8]) {
    let message = Bytes::copy_from_slice(input);
    let Ok(heard) = document(&message, &LIMITS) else { return };
    assert!(input.starts_with(b"<"), "{}", input.escape_ascii());
    // Inside another element, which has no namespace, it is one element.
    let declared = input.starts_with(b"<?xml").then(|| input.iter().position(|b| *b == b'>'));
    let begin = declared.flatten().map_or(0, |at| at + 1);
    let document = [b"<r>", &input[begin..], b"</r>"].concat();
    let theirs = children(&document).unwrap_or_else(|| panic!("{}", input.escape_ascii()));
    assert_eq!(theirs.len(), 1, "{}", input.escape_ascii());
    if let StreamEvent::Element(frame) = heard {
        stands_alone(&frame);
        assert_eq!(frame.root().to_tree(), theirs[0]);
    }
}

/// What we write says the same over TCP and over WebSocket.
#[test]
fn an_element_says_the_same_in_either_framing() {
    check!().with_iterations(2000).with_type::<Vec<u8>>().for_each(|input| {
        let words = input.iter().take(24).map(|&byte| WORDS[usize::from(byte) % WORDS.len()]);
        let from = format!("{OPEN}<a>{}</a>", words.collect::<String>());
        let elements = receive([from.as_bytes()], LIMITS).frames;
        let header = StreamHeader::new("localhost", None);
        let [stream, messages] = [Framing::Tcp, Framing::WebSocket].map(|framing| {
            let mut out = Vec::new();
            framing.open(&header, &mut out);
            for element in &elements {
                framing.element(&mut out, |out| out.extend_from_slice(element.bytes()));
            }
            framing.element(&mut out, |out| out.extend_from_slice(b"<stream:features/>"));
            framing.close(&mut out);
            out
        });
        let limits = Limits { bytes: 1 << 16, depth: 16, attributes: 64, nodes: 256 };
        let over_tcp = receive([&stream[..]], limits);
        let mut over_websocket = documents(&messages, &limits).into_iter();
        let first = over_websocket.next();
        assert!(
            matches!(&first, Some(StreamEvent::Header(h)) if h.id.as_deref() == Some(&*header.id))
        );
        assert_eq!(over_tcp.frames.len(), elements.len() + 1);
        for (tcp, websocket) in over_tcp.frames.iter().zip(&mut over_websocket) {
            let StreamEvent::Element(websocket) = websocket else { panic!("{websocket:?}") };
            assert_eq!(websocket.root().to_tree(), tcp.root().to_tree());
        }
        assert!(matches!(over_websocket.next(), Some(StreamEvent::End)));
        assert!(over_websocket.next().is_none());
    });
}

/// What the frames of ours say, which end with a closing frame.
fn documents(mut bytes: &[u8], limits: &Limits) -> Vec<StreamEvent> {
    let mut all = Vec::new();
    while let Some((opcode, payload)) = frames::first(bytes) {
        let rest = &bytes[payload.end..];
        if opcode == frames::CLOSE {
            assert!(rest.is_empty());
            return all;
        }
        assert_eq!(opcode, frames::TEXT);
        let message = Bytes::copy_from_slice(&bytes[payload]);
        all.push(document(&message, limits).expect("what we write is a document"));
        bytes = rest;
    }
    panic!("no closing frame: {}", bytes.escape_ascii())
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
