//! Elements out of bytes: a buffer, the framer that cuts it, and the namespaces that the stream declares.

use bytes::Bytes;
use smol_str::SmolStr;

use super::framing::Framing;
use super::received::Received;
use crate::ns;
use crate::xml::{self, ElementRef, Frame, Framer, Header, Limit, Limits, Piece, Scope, XmlError};

/// What a peer says next.
#[derive(Debug)]
pub enum StreamEvent {
    /// The end of the stream.
    End,
    /// A whole child of the stream.
    Element(Frame),
    /// The header of a stream.
    Header(Header),
}

/// The reading side of a stream.
#[derive(Debug)]
pub struct Input {
    framer: Framer,
    received: Received,
    scope: Scope,
    limits: Limits,
    /// The language of stanzas without `xml:lang`.
    lang: Option<SmolStr>,
    framing: Framing,
}

impl Input {
    /// Begins with a header, under these limits.
    #[must_use]
    pub fn new(framing: Framing, limits: Limits) -> Self {
        Self {
            framer: Framer::new(limits),
            received: Received::default(),
            scope: Scope::default(),
            limits,
            lang: None,
            framing,
        }
    }

    /// The buffer for bytes that are read: see [`Channel::receive`](super::channel::Channel::receive).
    pub fn received(&mut self) -> &mut Received {
        &mut self.received
    }

    /// The next event in what has been read; `None` if more must be read first.
    ///
    /// # Errors
    /// What is wrong with it; the stream is to end.
    pub fn next_event(&mut self) -> Result<Option<StreamEvent>, XmlError> {
        match self.framing {
            Framing::Tcp => self.piece(),
            Framing::WebSocket => self.message(&Scope::none()),
            Framing::Bosh => self.message(&Scope::default()),
        }
    }

    /// RFC 7395 §3.3.3: each message is a document.
    fn message(&mut self, scope: &Scope) -> Result<Option<StreamEvent>, XmlError> {
        let Some(length) = self.received.messages.pop_front() else {
            if self.received.bytes.len() > self.limits.bytes {
                return Err(XmlError::TooLarge(Limit::Bytes));
            }
            self.received.shrink();
            return Ok(None);
        };
        let message = self.received.bytes.split_to(length).freeze();
        let event = document_within(&message, scope, &self.limits)?;
        if let StreamEvent::Header(header) = &event {
            self.lang = header.lang.as_deref().map(SmolStr::new);
        }
        Ok(Some(event))
    }

    /// The next child of a stream over TCP.
    fn piece(&mut self) -> Result<Option<StreamEvent>, XmlError> {
        let piece = self.framer.next(&self.received.bytes)?;
        let (range, is_header) = match piece {
            None => {
                self.tidy();
                return Ok(None);
            }
            Some(Piece::End) => return Ok(Some(StreamEvent::End)),
            Some(Piece::Header(range)) => (range, true),
            Some(Piece::Child(range)) => (range, false),
        };
        let mut bytes = self.received.bytes.split_to(range.end);
        self.framer.drop_front(range.end);
        let bytes = bytes.split_off(range.start).freeze();
        if is_header {
            let header = xml::header(&bytes)?;
            self.scope = Scope::from_header(&header);
            self.lang = header.lang.as_deref().map(SmolStr::new);
            return Ok(Some(StreamEvent::Header(header)));
        }
        Frame::parse(bytes, &self.scope, &self.limits)
            .map(|frame| Some(StreamEvent::Element(frame)))
    }

    /// The language of the stream, for stanzas without `xml:lang` (RFC 6120 §4.7.4).
    #[must_use]
    pub fn lang(&self) -> Option<&SmolStr> {
        self.lang.as_ref()
    }

    /// Whether a part of an element was read, and its rest is still to come. True only when there is no next event.
    #[must_use]
    pub fn is_within(&self) -> bool {
        !self.received.bytes.is_empty()
    }

    /// Whether all that was read and not yet parsed is white space, and not line breaks alone. Over TCP only: elsewhere
    /// there is no white space between elements.
    #[must_use]
    pub fn is_space(&self) -> bool {
        let bytes = &self.received.bytes;
        self.framing == Framing::Tcp
            && bytes.iter().all(u8::is_ascii_whitespace)
            && bytes.iter().any(|byte| matches!(byte, b' ' | b'\t'))
    }

    /// What comes from now on is read within these limits.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.framer.set_limits(limits);
    }

    /// Begins a new stream, under these limits.
    pub fn restart(&mut self, limits: Limits) {
        self.set_limits(limits);
        self.framer.restart();
        self.scope = Scope::default();
    }

    /// Throws away what was read and not yet parsed. Returns whether there was anything but white space.
    /// What came before TLS must not be used after it (RFC 6120 §5.4.3.3).
    pub fn discard(&mut self) -> bool {
        let anything = self.received.bytes.iter().any(|byte| !byte.is_ascii_whitespace());
        self.framer.drop_front(self.received.bytes.len());
        self.received = Received::default();
        anything
    }

    /// Drops white space, and the buffer itself when nothing is in it: most connections are idle.
    fn tidy(&mut self) {
        let done = self.framer.disposable();
        drop(self.received.bytes.split_to(done));
        self.received.shrink();
        self.framer.drop_front(done);
    }
}

/// The event in a message of a WebSocket (RFC 7395 §3.3.3). The message declares all its namespaces itself.
/// `<open/>` and `<close/>` stand for the tags of the stream.
///
/// # Errors
/// What is wrong with it; the stream is to end.
pub fn document(message: &Bytes, limits: &Limits) -> Result<StreamEvent, XmlError> {
    document_within(message, &Scope::none(), limits)
}

/// The same; `scope` is in force around the message.
fn document_within(
    message: &Bytes,
    scope: &Scope,
    limits: &Limits,
) -> Result<StreamEvent, XmlError> {
    let range = xml::document(message, *limits)?;
    let frame = Frame::parse(message.slice(range), scope, limits)?;
    let root = frame.root();
    Ok(match (root.ns(), root.name()) {
        (ns::FRAMING, "open") => StreamEvent::Header(header(&root)),
        (ns::FRAMING, "close") => StreamEvent::End,
        // RFC 7395 §3.3.2: these two are in no other namespace.
        (_, "open" | "close") => return Err(XmlError::InvalidNamespace),
        _ => StreamEvent::Element(frame),
    })
}

/// The header that `<open/>` stands for (RFC 7395 §3.3.1): it has the same attributes, and each message
/// declares its own namespaces.
fn header(open: &ElementRef<'_>) -> Header {
    let attribute = |name| open.attr(name).map(std::borrow::Cow::into_owned);
    Header {
        name: "stream".to_owned(),
        ns: ns::STREAM.to_owned(),
        default_namespace: ns::CLIENT.to_owned(),
        prefixes: Vec::new(),
        to: attribute("to"),
        from: attribute("from"),
        id: attribute("id"),
        version: attribute("version"),
        lang: open.attr_ns(ns::XML, "lang").map(std::borrow::Cow::into_owned),
    }
}
