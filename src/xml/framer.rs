//! Cuts the bytes of a stream into its header, its whole children and its end (RFC 6120 §4.2, §4.4).
//!
//! The framer only finds where pieces end; [`Frame::parse`] checks whether a child is well-formed. The
//! framer refuses, at the first byte that shows it, what can never become acceptable: restricted XML
//! (RFC 6120 §11.1), too much depth or size, and an end tag that does not match. Otherwise a single
//! unclosed tag would swallow everything that follows. Except for names, no byte is read twice, no matter
//! in which portions the bytes come.
//!
//! The file is long because a state machine is read as a whole. It does not grow: the grammar is finished.
//!
//! [`Frame::parse`]: super::Frame::parse

use std::ops::Range;

use memchr::{memchr, memchr2};
use smallvec::SmallVec;

use super::chars::{MAX_NAME, is_control, is_space, may_start_name};
use super::tag::{check_declaration, qualified_name};
use super::{Limit, Limits, XmlError};

/// A piece of a stream. Ranges refer to the buffer that was given to [`Framer::next`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The open tag of the stream, from `<` to `>`, without the XML declaration before it.
    Header(Range<usize>),
    /// A whole child of the stream.
    Child(Range<usize>),
    /// The stream's end tag. Everything after it is skipped until [`Framer::restart`];
    /// [`Framer::disposable`] tells how many bytes.
    End,
}

/// Finds the pieces of one stream in a buffer. Bytes are appended at its end and removed at its front.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    state: State,
    /// The position of the first byte that was not read.
    position: usize,
    /// The position at which the current piece begins.
    start: Option<usize>,
    /// The positions at which the open elements of the child begin, relative to `start`.
    open: SmallVec<[u32; 8]>,
    /// The state of the scan.
    place: Place,
    /// The name of the stream's open tag, which its end tag must repeat.
    name: Box<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At the beginning, or after one byte. An XML declaration is allowed only here.
    Beginning,
    /// At the beginning of a stream that follows another one, of which white space may be left.
    Restart,
    /// After white space or an XML declaration.
    Prolog,
    Content,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Text,
    /// After `<`.
    Markup,
    /// In an open tag, outside of quotes.
    Tag,
    /// In an attribute's value.
    Quoted(u8),
    /// In an end tag that begins at this position, relative to `start`.
    EndTag(u32),
    /// After `<!` and this many bytes of `[CDATA[`.
    Bang(u8),
    CData,
    /// In an XML declaration.
    Declaration,
}

impl Framer {
    /// A framer that expects the header of a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Text,
            position: 0,
            start: None,
            open: SmallVec::new(),
            place: Place::Beginning,
            name: Box::default(),
        }
    }

    /// The next piece, or `None` if it is not whole yet.
    ///
    /// `buffer` must begin with the same bytes as before, without those that were reported to
    /// [`Framer::drop_front`]. Call it again after each piece. White space between children is skipped.
    ///
    /// # Errors
    /// Why the XML was refused. The framer cannot be used afterwards.
    pub fn next(&mut self, buffer: &[u8]) -> Result<Option<Piece>, XmlError> {
        if self.place == Place::Ended {
            self.position = buffer.len();
            return Ok(None);
        }
        loop {
            // Bytes beyond the limit are not read. Otherwise the answer would depend on the portions in which
            // the bytes come.
            let bound = self.start.map_or(usize::MAX, |start| start.saturating_add(self.limit()));
            let seen = &buffer[..bound.min(buffer.len())];
            if self.position >= bound {
                return Err(XmlError::TooLarge(Limit::Bytes));
            }
            if self.position >= seen.len() {
                return Ok(None);
            }
            if let Some(piece) = self.step(seen)? {
                return Ok(Some(piece));
            }
        }
    }

    /// The caller has removed the first `n` bytes of the buffer: all up to the end of a piece, or up to
    /// [`Framer::disposable`].
    pub fn drop_front(&mut self, n: usize) {
        self.position = self.position.saturating_sub(n);
        self.start = self.start.map(|start| start.saturating_sub(n));
    }

    /// Sets other limits from here on, for example after authentication.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Begins a new stream on the same connection, after STARTTLS or SASL (RFC 6120 §5.4.3.3, §6.4.6). It begins where the
    /// last piece ended.
    pub fn restart(&mut self) {
        self.state = State::Text;
        self.start = None;
        self.open.clear();
        self.place = Place::Restart;
    }

    /// How many bytes at the front of the buffer can be removed, since they belong to no incomplete piece.
    pub fn disposable(&self) -> usize {
        self.start.unwrap_or(self.position)
    }

    /// Reads one or more of the bytes from `position` on. There is at least one.
    fn step(&mut self, seen: &[u8]) -> Result<Option<Piece>, XmlError> {
        let rest = &seen[self.position..];
        let (found, next) = match self.state {
            State::Text if self.open.is_empty() => {
                self.between(rest)?;
                return Ok(None);
            }
            State::Text => (memchr(b'<', rest), State::Markup),
            State::Markup => (Some(0), self.markup(rest[0])?),
            // Such tags are too short for a vector search.
            State::Tag => match rest.iter().position(|&byte| ENDS_TAG[usize::from(byte)]) {
                Some(at) => match rest[at] {
                    b'>' => {
                        self.advance(at + 1, State::Text);
                        return self.opened(seen);
                    }
                    b'<' => return Err(XmlError::NotWellFormed),
                    quote => (Some(at), State::Quoted(quote)),
                },
                None => (None, State::Tag),
            },
            State::Quoted(quote) => match memchr2(quote, b'<', rest) {
                Some(at) if rest[at] == b'<' => return Err(XmlError::NotWellFormed),
                found => (found, State::Tag),
            },
            State::EndTag(from) => match memchr(b'>', rest) {
                Some(at) => {
                    let end = self.position + at;
                    self.advance(at + 1, State::Text);
                    return self.closed(seen, from, end);
                }
                None if self.may_close(seen, from) => (None, State::EndTag(from)),
                None => return Err(XmlError::NotWellFormed),
            },
            State::Bang(matched) => (Some(0), self.bang(rest[0], matched)?),
            State::CData => match memchr(b'>', rest) {
                // The beginning of CDATA contains no `]`, so these two belong to its end.
                Some(at) if seen[..self.position + at].ends_with(b"]]") => (Some(at), State::Text),
                found => (found, State::CData),
            },
            State::Declaration => (self.declaration(seen)?, State::Text),
        };
        match found {
            Some(at) => self.advance(at + 1, next),
            None => self.position = seen.len(),
        }
        Ok(None)
    }

    fn advance(&mut self, by: usize, state: State) {
        self.position += by;
        self.state = state;
    }

    /// Between children, or around the XML declaration.
    fn between(&mut self, rest: &[u8]) -> Result<(), XmlError> {
        let Some(at) = rest.iter().position(|&byte| !is_space(byte)) else {
            self.position += rest.len();
            self.spaced();
            return Ok(());
        };
        if at > 0 {
            self.spaced();
        }
        match rest[at] {
            b'<' => {
                self.start = Some(self.position + at);
                self.advance(at + 1, State::Markup);
                Ok(())
            }
            // A byte order mark of UTF-16, its first half, or a byte that cannot begin a character in UTF-8.
            0x80..=0xC1 | 0xF5.. => Err(XmlError::UnsupportedEncoding),
            0 if self.place != Place::Content => Err(XmlError::UnsupportedEncoding),
            byte if is_control(byte) => Err(XmlError::NotWellFormed),
            _ => Err(XmlError::BadFormat),
        }
    }

    /// White space was skipped, so an XML declaration would no longer be at the beginning.
    fn spaced(&mut self) {
        if self.place == Place::Beginning {
            self.place = Place::Prolog;
        }
    }

    /// The byte after `<`.
    fn markup(&mut self, byte: u8) -> Result<State, XmlError> {
        let outside = self.open.is_empty() && self.place != Place::Content;
        match byte {
            b'!' => Ok(State::Bang(0)),
            b'/' if outside => Err(XmlError::NotWellFormed),
            b'/' => Ok(State::EndTag(self.tag_start())),
            b'?' if outside && self.place != Place::Prolog => Ok(State::Declaration),
            b'?' => Err(XmlError::RestrictedXml),
            // `<` in UTF-16.
            0 if outside => Err(XmlError::UnsupportedEncoding),
            _ if !may_start_name(byte) => Err(XmlError::NotWellFormed),
            _ => {
                self.open.push(self.tag_start());
                if self.open.len() > self.limits.depth && !outside {
                    return Err(XmlError::TooLarge(Limit::Depth));
                }
                Ok(State::Tag)
            }
        }
    }

    /// A byte after `<!` and `matched` bytes of the beginning of CDATA.
    fn bang(&self, byte: u8, matched: u8) -> Result<State, XmlError> {
        if byte != CDATA[usize::from(matched)] {
            return Err(XmlError::RestrictedXml);
        }
        match usize::from(matched) + 1 {
            // CDATA between children is text, too.
            _ if self.open.is_empty() && matched > 0 => Err(XmlError::BadFormat),
            n if n == CDATA.len() => Ok(State::CData),
            _ => Ok(State::Bang(matched + 1)),
        }
    }

    /// Finds the end of the XML declaration. The position is then at its last byte.
    fn declaration(&mut self, seen: &[u8]) -> Result<Option<usize>, XmlError> {
        let start = self.start.expect("a declaration has begun");
        let known = DECLARATION.len().min(seen.len() - start);
        if seen[start..start + known] != DECLARATION[..known] {
            return Err(XmlError::RestrictedXml);
        }
        let Some(at) = memchr(b'>', &seen[self.position..]) else {
            self.position = seen.len();
            return Ok(None);
        };
        check_declaration(&seen[start..=self.position + at])?;
        self.start = None;
        self.place = Place::Prolog;
        Ok(Some(at))
    }

    /// Called when an open tag ends at the current position.
    fn opened(&mut self, seen: &[u8]) -> Result<Option<Piece>, XmlError> {
        let empty = seen[self.position - 2] == b'/';
        if self.place == Place::Content {
            if empty {
                self.open.pop();
            }
            return Ok(self.child());
        }
        if empty {
            return Err(XmlError::BadFormat);
        }
        let start = self.start.take().expect("a tag has begun");
        self.name = qualified_name(&seen[start + 1..self.position - 1]).into();
        self.place = Place::Content;
        self.open.clear();
        Ok(Some(Piece::Header(start..self.position)))
    }

    /// Called when an end tag ends: its `>` is at `end`.
    fn closed(&mut self, seen: &[u8], from: u32, end: usize) -> Result<Option<Piece>, XmlError> {
        let start = self.start.expect("a tag has begun");
        let tag = &seen[start + from as usize + 2..end];
        if let Some(open) = self.open.pop() {
            let open = &seen[start + open as usize + 1..];
            return if closes(open, tag) { Ok(self.child()) } else { Err(XmlError::NotWellFormed) };
        }
        let name = qualified_name(tag);
        if name != &*self.name || !tag[name.len()..].iter().copied().all(is_space) {
            return Err(XmlError::NotWellFormed);
        }
        self.start = None;
        self.place = Place::Ended;
        Ok(Some(Piece::End))
    }

    /// Whether the incomplete end tag can still become that of the innermost element.
    fn may_close(&self, seen: &[u8], from: u32) -> bool {
        let start = self.start.expect("a tag has begun");
        let tag = &seen[start + from as usize + 2..];
        // Only white space can follow the longest name.
        let tag = &tag[..tag.len().min(MAX_QUALIFIED_NAME)];
        match self.open.last() {
            Some(open) => {
                let open = &seen[start + *open as usize + 1..];
                open.starts_with(tag) || closes(open, tag)
            }
            None => {
                let name = qualified_name(tag);
                let is_whole = name.len() < tag.len();
                if is_whole { *name == *self.name } else { self.name.starts_with(name) }
            }
        }
    }

    /// The position, relative to `start`, of the tag whose second byte is at the current position.
    fn tag_start(&self) -> u32 {
        let start = self.start.expect("a tag has begun");
        u32::try_from(self.position - 1 - start).unwrap_or(u32::MAX)
    }

    /// The child that ends at the current position, if none of its elements is open.
    fn child(&mut self) -> Option<Piece> {
        if !self.open.is_empty() {
            return None;
        }
        self.open.shrink_to_fit(); // a deep child leaves no memory behind
        let start = self.start.take().expect("a child has begun");
        Some(Piece::Child(start..self.position))
    }

    /// The largest number of bytes of the next piece.
    fn limit(&self) -> usize {
        match self.place {
            Place::Content => self.limits.bytes,
            _ => self.limits.bytes.min(HEADER_BYTES),
        }
    }
}

/// The range of the single element of a document. An XML declaration may precede it, and white space may
/// follow it. Nothing else precedes it (RFC 7395 §3.3.3).
///
/// # Errors
/// Why the XML was refused.
pub fn document(bytes: &[u8], limits: Limits) -> Result<Range<usize>, XmlError> {
    let mut from = 0;
    if bytes.starts_with(DECLARATION) {
        let end = memchr(b'>', bytes).ok_or(XmlError::NotWellFormed)? + 1;
        check_declaration(&bytes[..end])?;
        from = end + bytes[end..].iter().take_while(|&&byte| is_space(byte)).count();
    }
    let rest = &bytes[from..];
    if rest.first() != Some(&b'<') {
        return Err(XmlError::BadFormat);
    }
    let mut framer = Framer { place: Place::Content, ..Framer::new(limits) };
    match framer.next(rest)? {
        Some(Piece::Child(range)) if rest[range.end..].iter().copied().all(is_space) => {
            Ok(from..from + range.end)
        }
        Some(Piece::Child(_)) => Err(XmlError::BadFormat),
        Some(Piece::Header(_) | Piece::End) | None => Err(XmlError::NotWellFormed),
    }
}

/// Whether an end tag closes the element whose open tag begins with `open`. Both are given from the name
/// on. The strict scan refuses invalid names later.
fn closes(open: &[u8], tag: &[u8]) -> bool {
    let length = tag.iter().rposition(|&byte| !is_space(byte)).map_or(0, |last| last + 1);
    let is_end = |byte: &u8| is_space(*byte) || matches!(byte, b'>' | b'/');
    open.starts_with(&tag[..length]) && open.get(length).is_some_and(is_end)
}

/// The bytes that matter in an open tag outside of quotes.
const ENDS_TAG: [bool; 256] = {
    let mut ends = [false; 256];
    ends[b'\'' as usize] = true;
    ends[b'"' as usize] = true;
    ends[b'<' as usize] = true;
    ends[b'>' as usize] = true;
    ends
};

/// Prefix, colon, local part.
const MAX_QUALIFIED_NAME: usize = 2 * MAX_NAME + 1;

/// The largest number of bytes of a header. Addresses have up to 3071 bytes each, and nothing else in it
/// is long.
const HEADER_BYTES: usize = 8 * 1024;

const CDATA: &[u8] = b"[CDATA[";
const DECLARATION: &[u8] = b"<?xml";
