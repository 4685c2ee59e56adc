//! Another parser, to compare with, and a stream run through ours.

use bytes::Bytes;
use minidom::Element;
use minidom::rxml::{Event, Options, Parse, Parser, WithOptions};
use waxwing::xml::{Frame, Framer, Header, Limits, Piece, Scope, XmlError, header};

/// What a stream gave before it ended, was refused or waited for more.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) header: Option<Header>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) error: Option<XmlError>,
    /// Bytes up to the end of the last piece.
    pub(crate) used: usize,
    pub(crate) ended: bool,
}

#[expect(single_use_lifetimes, reason = "it cannot be left out in this place")]
/// Feeds the stream in these chunks, dropping from the buffer what a server would drop.
pub(crate) fn receive<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, limits: Limits) -> Outcome {
    let mut outcome = Outcome::default();
    let mut framer = Framer::new(limits);
    let mut buffer = Vec::new();
    let mut dropped = 0;
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        loop {
            let piece = match framer.next(&buffer) {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => {
                    outcome.error = Some(error);
                    return outcome;
                }
            };
            let end = match take(&mut outcome, piece, &buffer, &limits, framer.disposable()) {
                Ok(end) => end,
                Err(error) => {
                    outcome.error = Some(error);
                    return outcome;
                }
            };
            assert!(end <= framer.disposable());
            buffer.drain(..end);
            framer.drop_front(end);
            dropped += end;
            outcome.used = dropped;
        }
        let disposable = framer.disposable();
        buffer.drain(..disposable);
        framer.drop_front(disposable);
        dropped += disposable;
        assert!(buffer.len() <= limits.bytes, "memory is bounded");
    }
    outcome
}

fn take(
    outcome: &mut Outcome,
    piece: Piece,
    buffer: &[u8],
    limits: &Limits,
    end: usize,
) -> Result<usize, XmlError> {
    match piece {
        Piece::Header(range) => {
            outcome.header = Some(header(&buffer[range.clone()])?);
            Ok(range.end)
        }
        Piece::Child(range) => {
            let header = outcome.header.as_ref().expect("the header comes first");
            let bytes = Bytes::copy_from_slice(&buffer[range.clone()]);
            outcome.frames.push(Frame::parse(bytes, &Scope::from_header(header), limits)?);
            Ok(range.end)
        }
        Piece::End => {
            outcome.ended = true;
            Ok(end)
        }
    }
}

/// The children of the root, as rxml reads the document, if it takes it as a whole.
pub(crate) fn children(document: &[u8]) -> Option<Vec<Element>> {
    let options = Options { max_token_length: 1 << 20, ..Options::default() };
    let mut parser = Parser::with_options(options);
    // What XML 1.0 §2.11 says a parser begins with; rxml refuses a lone `\r` in attributes.
    let document = normalise_line_ends(document);
    let mut input = &document[..];
    let mut open: Vec<Element> = Vec::new();
    loop {
        match parser.parse(&mut input, true).ok()? {
            None => return None,
            Some(Event::XmlDeclaration(..)) => {}
            Some(Event::StartElement(_, (ns, name), attributes)) => {
                let mut element = Element::bare(name.to_string(), ns.as_str());
                for ((ns, name), value) in attributes {
                    element.set_attr::<String>(ns, name, value);
                }
                open.push(element);
            }
            Some(Event::EndElement(_)) => {
                let element = open.pop()?;
                match open.last_mut() {
                    Some(outer) => {
                        outer.append_child(element);
                    }
                    None => {
                        // Nothing may follow.
                        let rest = parser.parse(&mut input, true).ok()?;
                        return rest.is_none().then(|| element.children().cloned().collect());
                    }
                }
            }
            Some(Event::Text(_, text)) if text.is_empty() => {}
            Some(Event::Text(_, text)) => open.last_mut()?.append_text(text),
        }
    }
}

fn normalise_line_ends(document: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(document.len());
    for (at, &byte) in document.iter().enumerate() {
        match byte {
            b'\r' if document.get(at + 1) == Some(&b'\n') => {}
            b'\r' => out.push(b'\n'),
            _ => out.push(byte),
        }
    }
    out
}

/// What our reading of `stream` must agree with: rxml takes what we took, and reads the same.
pub(crate) fn agree(stream: &[u8], outcome: &Outcome) {
    let Some(header) = &outcome.header else { return };
    let mut document = stream[..outcome.used].to_vec();
    if !outcome.ended {
        document.extend_from_slice(&end_of(stream));
    }
    let shown = document.escape_ascii().to_string();
    let theirs = children(&document).unwrap_or_else(|| panic!("rxml refuses {shown}"));
    let content = Scope::from_header(header);
    let ours: Vec<_> = outcome.frames.iter().map(|frame| frame.root().to_tree()).collect();
    if is_client(content.content_namespace()) {
        assert_eq!(ours, theirs, "{shown}");
    }
    for frame in &outcome.frames {
        stands_alone(frame);
    }
}

/// The frame says the same behind any other header of a client's stream.
pub(crate) fn stands_alone(frame: &Frame) {
    let document = [b"<s xmlns='jabber:client'>", &frame.bytes()[..], b"</s>"].concat();
    let shown = document.escape_ascii().to_string();
    let root = frame.root();
    assert_eq!(children(&document), Some(vec![root.to_tree()]), "{shown}");
    // And with another tag around the same content.
    let (name, inner) = (root.name(), &frame.bytes()[root.inner()]);
    let ns = root.ns();
    let mut document = format!("<s><{name} xmlns='").into_bytes();
    waxwing::xml::writer::escape_attr(&mut document, ns);
    document.push(b'\'');
    let attributes = root.raw_attrs().map(|(_, _, range)| range);
    for range in frame.declarations().chain(attributes) {
        document.push(b' ');
        document.extend_from_slice(&frame.bytes()[range]);
    }
    document.push(b'>');
    document.extend_from_slice(inner);
    document.extend_from_slice(format!("</{name}></s>").as_bytes());
    assert_eq!(children(&document), Some(vec![root.to_tree()]), "{shown}");
}

fn is_client(ns: &str) -> bool {
    !matches!(ns, "jabber:server" | "jabber:component:accept")
}

/// The end tag for the stream's open tag.
fn end_of(stream: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(stream);
    let tag = match text.trim_start().strip_prefix("<?xml") {
        Some(rest) => rest.split_once('>').map_or("", |(_, rest)| rest.trim_start()),
        None => text.trim_start(),
    };
    let end = |c: char| c == '>' || c.is_ascii_whitespace();
    let name = tag[1..].split(end).next().unwrap_or("");
    format!("</{name}>").into_bytes()
}
