//! Elements as the tests see them, read by a parser which is not the server's.

use std::fmt::{self, Write};

use minidom::rxml::{Event, Options, Parse, Parser, WithOptions};

/// An element with its names resolved.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Element {
    pub(crate) ns: String,
    pub(crate) name: String,
    /// Namespace (mostly empty), name, value.
    pub(crate) attributes: Vec<(String, String, String)>,
    pub(crate) children: Vec<Node>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    pub(crate) fn is(&self, ns: &str, name: &str) -> bool {
        self.ns == ns && self.name == name
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(ns, n, _)| ns.is_empty() && n == name);
        found.map(|(_, _, value)| value.as_str())
    }

    pub(crate) fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|child| match child {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    pub(crate) fn child(&self, ns: &str, name: &str) -> Option<&Self> {
        self.elements().find(|child| child.is(ns, name))
    }

    /// The text directly in it, without white space around it.
    pub(crate) fn text(&self) -> String {
        let texts = self.children.iter().filter_map(|child| match child {
            Node::Element(_) => None,
            Node::Text(text) => Some(text.as_str()),
        });
        texts.collect::<String>().trim().to_owned()
    }

    fn write(&self, outer: &str, out: &mut String) -> fmt::Result {
        write!(out, "<{}", self.name)?;
        if self.ns != outer {
            write!(out, " xmlns='{}'", self.ns)?;
        }
        for (ns, name, value) in &self.attributes {
            let prefix = if ns.is_empty() { "" } else { "{…}" };
            let prefix = if ns == XML { "xml:" } else { prefix };
            write!(out, " {prefix}{name}='{value}'")?;
        }
        if self.children.is_empty() {
            return write!(out, "/>");
        }
        write!(out, ">")?;
        for child in &self.children {
            match child {
                Node::Element(element) => element.write(&self.ns, out)?,
                Node::Text(text) => write!(out, "{text}")?,
            }
        }
        write!(out, "</{}>", self.name)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(CLIENT, &mut out)?;
        f.write_str(&out)
    }
}

/// What comes out of a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Piece {
    /// The root's start.
    Header(Element),
    /// A child of the root.
    Child(Element),
    /// The root's end.
    End,
}

/// Reads a stream: bytes in, pieces out.
pub(crate) struct Reader {
    parser: Parser,
    waiting: Vec<u8>,
    open: Vec<Element>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        let options = Options { max_token_length: 1 << 24, ..Options::default() };
        Self { parser: Parser::with_options(options), waiting: Vec::new(), open: Vec::new() }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next piece, if there is a whole one.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, String> {
        loop {
            let mut rest = self.waiting.as_slice();
            let event = self.parser.parse(&mut rest, false);
            let used = self.waiting.len() - rest.len();
            self.waiting.drain(..used);
            let event = match event {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(None),
                Err(minidom::rxml::error::EndOrError::NeedMoreData) => return Ok(None),
                Err(minidom::rxml::error::EndOrError::Error(error)) => {
                    return Err(format!("what came is ill-formed: {error}"));
                }
            };
            if let Some(piece) = self.take(event) {
                return Ok(Some(piece));
            }
        }
    }

    fn take(&mut self, event: Event) -> Option<Piece> {
        match event {
            Event::StartElement(_, (ns, name), attributes) => {
                let mut element =
                    Element { ns: ns.to_string(), name: name.to_string(), ..Element::default() };
                for ((ns, name), value) in attributes {
                    element.attributes.push((ns.to_string(), name.to_string(), value));
                }
                self.open.push(element.clone());
                (self.open.len() == 1).then_some(Piece::Header(element))
            }
            Event::EndElement(_) => {
                let element = self.open.pop()?;
                match self.open.len() {
                    0 => Some(Piece::End),
                    1 => Some(Piece::Child(element)),
                    _ => {
                        self.open.last_mut()?.children.push(Node::Element(element));
                        None
                    }
                }
            }
            Event::Text(_, text) => {
                // Text directly in the stream is white space to keep the connection alive.
                if self.open.len() > 1 {
                    self.open.last_mut()?.children.push(Node::Text(text));
                }
                None
            }
            Event::XmlDeclaration(..) => None,
        }
    }
}

/// The elements in a piece of a script, as if they stood in a client's stream.
pub(crate) fn elements(xml: &str) -> Result<Vec<Element>, String> {
    let mut reader = Reader::new();
    let open = format!("<r xmlns='{CLIENT}' xmlns:stream='{STREAMS}' xmlns:scansion='{SCANSION}'>");
    reader.feed(open.as_bytes());
    reader.feed(xml.as_bytes());
    reader.feed(b"</r>");
    let mut found = Vec::new();
    loop {
        match reader.next()? {
            Some(Piece::Child(element)) => found.push(element),
            Some(Piece::End) => return Ok(found),
            Some(Piece::Header(_)) => {}
            None => return Err("the XML ends too early".to_owned()),
        }
    }
}

/// The element that is all of a document.
pub(crate) fn document(text: &str) -> Result<Element, String> {
    let mut reader = Reader::new();
    // As the only child of nothing, so that nothing is in force around it.
    reader.open.push(Element::default());
    reader.feed(text.as_bytes());
    match reader.next()? {
        Some(Piece::Child(element)) => Ok(element),
        _ => Err(format!("no document: {text}")),
    }
}

pub(crate) const CLIENT: &str = "jabber:client";
pub(crate) const SCANSION: &str = "https://matthewwild.co.uk/projects/scansion";
pub(crate) const STREAMS: &str = "http://etherx.jabber.org/streams";
pub(crate) const XML: &str = "http://www.w3.org/XML/1998/namespace";
