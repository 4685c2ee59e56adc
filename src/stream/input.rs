//! Elements out of bytes: a buffer, the framer that cuts it, the scope that gives it meaning.

use bytes::{Buf, BytesMut};
use memchr::memchr;
use smol_str::SmolStr;
use tokio::io::AsyncRead;

use super::{framing, wire};
use crate::http::frames::{ALIVE, END};
use crate::xml::{self, Frame, Framer, Header, Limit, Limits, Piece, Scope, XmlError};

/// What a peer has said.
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
    buffer: BytesMut,
    scope: Scope,
    limits: Limits,
    /// The language of stanzas that name none.
    lang: Option<SmolStr>,
    /// How elements stand in the bytes.
    cut: Cut,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cut {
    /// A document each, with [`END`] after it; so many bytes have been searched for the next one.
    Documents(usize),
    /// In one document, which is the stream.
    Stream,
}

impl Input {
    /// Begins with a header, under these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            framer: Framer::new(limits),
            buffer: BytesMut::new(),
            scope: Scope::default(),
            limits,
            lang: None,
            cut: Cut::Stream,
        }
    }

    /// Each element is a document (RFC 7395 §3.3.3), with [`END`] after it.
    #[must_use]
    pub fn of_documents(limits: Limits) -> Self {
        Self { cut: Cut::Documents(0), ..Self::new(limits) }
    }

    /// The next thing in what has been read; `None` if more must be read first.
    ///
    /// # Errors
    /// What is wrong with it; the stream is to end.
    pub fn heard(&mut self) -> Result<Option<StreamEvent>, XmlError> {
        match self.cut {
            Cut::Documents(seen) => self.document(seen),
            Cut::Stream => self.piece(),
        }
    }

    fn document(&mut self, seen: usize) -> Result<Option<StreamEvent>, XmlError> {
        while self.buffer.first() == Some(&ALIVE) {
            self.buffer.advance(1);
        }
        let Some(more) = memchr(END, &self.buffer[seen..]) else {
            self.cut = Cut::Documents(self.buffer.len());
            if self.buffer.len() > self.limits.bytes {
                return Err(XmlError::TooLarge(Limit::Bytes));
            }
            if self.buffer.is_empty() {
                self.buffer = BytesMut::new();
            }
            return Ok(None);
        };
        self.cut = Cut::Documents(0);
        let document = self.buffer.split_to(seen + more).freeze();
        self.buffer.advance(1);
        let heard = framing::heard(&document, &self.limits)?;
        if let StreamEvent::Header(header) = &heard {
            self.lang = header.lang.as_deref().map(SmolStr::new);
        }
        Ok(Some(heard))
    }

    fn piece(&mut self) -> Result<Option<StreamEvent>, XmlError> {
        let piece = self.framer.next(&self.buffer)?;
        let (range, is_header) = match piece {
            None => {
                self.tidy();
                return Ok(None);
            }
            Some(Piece::End) => return Ok(Some(StreamEvent::End)),
            Some(Piece::Header(range)) => (range, true),
            Some(Piece::Child(range)) => (range, false),
        };
        let mut bytes = self.buffer.split_to(range.end);
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

    /// The language that the stream's header gives to stanzas which name none (RFC 6120 §4.7.4).
    #[must_use]
    pub fn lang(&self) -> Option<&SmolStr> {
        self.lang.as_ref()
    }

    /// All that has been read was heard, and the rest is part of an element that goes on.
    #[must_use]
    pub fn is_within(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Reads more; 0 at the end. Nothing is lost if it is dropped while it waits.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn read(&mut self, from: impl AsyncRead + Unpin) -> std::io::Result<usize> {
        wire::read(from, &mut self.buffer).await
    }

    /// A new stream begins, under these limits.
    pub fn restart(&mut self, limits: Limits) {
        self.limits = limits;
        self.framer.set_limits(limits);
        self.framer.restart();
        self.scope = Scope::default();
    }

    /// Throws away what was read and not yet understood; answers whether there was anything but
    /// white space. What came before TLS must not be used after it (RFC 6120 §5.4.3.3).
    pub fn discard(&mut self) -> bool {
        let anything = self.buffer.iter().any(|byte| !byte.is_ascii_whitespace());
        self.framer.drop_front(self.buffer.len());
        self.buffer = BytesMut::new();
        anything
    }

    /// Drops white space, and the buffer itself when nothing is in it: most connections are idle.
    fn tidy(&mut self) {
        let done = self.framer.disposable();
        if done == self.buffer.len() {
            self.buffer = BytesMut::new();
        } else {
            drop(self.buffer.split_to(done));
        }
        self.framer.drop_front(done);
    }
}
