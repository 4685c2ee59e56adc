//! Checks every byte of an element and maps it.
//!
//! quick-xml cuts the element into tokens. It accepts much ill-formed input, so this file refuses
//! everything that XML 1.0, Namespaces in XML and RFC 6120 §11.1 forbid. It does not recurse, however deep
//! the input is.
//!
//! The file is long because a grammar is read as a whole. It does not grow: the grammar is finished.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use quick_xml::Reader;
use quick_xml::errors::{Error, SyntaxError};
use quick_xml::events::Event;
use smallvec::SmallVec;

use super::chars::{check_reference, has_cdata_end, is_space, text};
use super::frame::Frame;
use super::tag::{Attributes, check_binding, declared, split_name};
use super::tape::{
    Attribute, NS_CLIENT, NS_FIRST, NS_NONE, NS_XML, Namespace, NsId, Open, Tape, Token,
};
use super::ties::{Need, Ties};
use super::{CLIENT, Limit, Limits, Scope, XmlError, rewrite, unescape};
use crate::ns;

impl Frame {
    /// Checks and maps one whole child of a stream whose header declares `scope`.
    ///
    /// The bytes stay unchanged unless they need declarations from outside. Then the missing declarations
    /// are added where they are used. Elements in the content namespace of `scope` are read as elements of
    /// `jabber:client`.
    ///
    /// # Errors
    /// Why the XML was refused. The stream must end.
    pub fn parse(bytes: Bytes, scope: &Scope, limits: &Limits) -> Result<Self, XmlError> {
        let Scanned { tape, ties } = scan(&bytes, scope, limits)?;
        if ties.is_empty() {
            drop(ties);
            return Ok(Self { bytes, tape: Arc::new(tape) });
        }
        let bytes = rewrite::stand_alone(&bytes, &tape, &ties, limits.bytes)?;
        // The rewritten element has more declarations.
        let limits = Limits {
            attributes: limits.attributes.saturating_add(MAX_BINDINGS),
            nodes: limits.nodes.saturating_mul(2).saturating_add(MAX_BINDINGS),
            ..*limits
        };
        let scope = Scope::default();
        let Scanned { tape, ties } = scan(&bytes, &scope, &limits)?;
        debug_assert!(ties.is_empty(), "what was written anew stands alone");
        drop(ties);
        Ok(Self { bytes: bytes.into(), tape: Arc::new(tape) })
    }

    /// Checks and maps an element that this server wrote or stored.
    ///
    /// # Errors
    /// Why the XML was refused.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, XmlError> {
        Self::parse(bytes.into(), &Scope::default(), &Limits::STORED)
    }
}

/// The map of one element, and the declarations of its stream that it needs.
struct Scanned<'a> {
    tape: Tape,
    ties: Ties<'a>,
}

/// Checks and maps one element. `bytes` must contain nothing else.
fn scan<'a>(bytes: &'a [u8], scope: &'a Scope, limits: &Limits) -> Result<Scanned<'a>, XmlError> {
    if bytes.len() > limits.bytes.min(MAX_BYTES) {
        return Err(XmlError::TooLarge(Limit::Bytes));
    }
    let text = text(bytes)?;
    let mut scan = Scan {
        text,
        scope,
        limits: Limits { depth: limits.depth.min(MAX_DEPTH), ..*limits },
        tape: Tape::default(),
        bindings: SmallVec::new(),
        scoped: SmallVec::new(),
        open: SmallVec::new(),
        nodes: 0,
        ties: Ties::default(),
    };
    scan.all()?;
    Ok(Scanned { tape: scan.tape, ties: scan.ties })
}

struct Scan<'a> {
    text: &'a str,
    scope: &'a Scope,
    limits: Limits,
    tape: Tape,
    /// The declarations in force, the innermost last.
    bindings: SmallVec<[Binding<'a>; 8]>,
    /// The namespaces of the scope that were used.
    scoped: SmallVec<[(&'a str, NsId); 4]>,
    /// The places of the open elements on the tape.
    open: SmallVec<[u32; 8]>,
    nodes: usize,
    ties: Ties<'a>,
}

struct Binding<'a> {
    depth: usize,
    prefix: &'a str,
    ns: NsId,
}

impl<'a> Scan<'a> {
    fn all(&mut self) -> Result<(), XmlError> {
        let mut reader = Reader::from_str(self.text);
        // quick-xml would copy the names; this file checks end tags without copies.
        reader.config_mut().check_end_names = false;
        if !self.text.starts_with('<') {
            return Err(XmlError::BadFormat);
        }
        loop {
            let from = position(&reader);
            let event = reader.read_event().map_err(|error| refused(&error))?;
            let range = from..position(&reader);
            match event {
                Event::Start(tag) => self.open(range.start, tag.name().0.len(), range.end - 1)?,
                Event::Empty(tag) => {
                    self.open(range.start, tag.name().0.len(), range.end - 2)?;
                    // The content is empty and lies before the `>`.
                    self.close(range.end - 1, range.end);
                }
                Event::End(_) => self.end(range)?,
                Event::Text(_) => {
                    if has_cdata_end(&self.text.as_bytes()[range.clone()]) {
                        return Err(XmlError::NotWellFormed);
                    }
                    self.push_text(range)?;
                }
                Event::GeneralRef(_) => {
                    check_reference(&self.text[range.start + 1..range.end - 1])?;
                    self.push_text(range)?;
                }
                Event::CData(_) => {
                    self.count()?;
                    let (from, to) = (offset(range.start + 9), offset(range.end - 3));
                    self.tape.tokens.push(Token::CData { from, to });
                }
                Event::Eof => return Err(XmlError::NotWellFormed),
                Event::Comment(_) | Event::Decl(_) | Event::DocType(_) | Event::PI(_) => {
                    return Err(XmlError::RestrictedXml);
                }
            }
            if self.open.is_empty() {
                break;
            }
        }
        // Nothing may follow the element.
        if position(&reader) == self.text.len() { Ok(()) } else { Err(XmlError::NotWellFormed) }
    }

    /// An open tag; `end` is the position of its `>` or `/>`.
    fn open(&mut self, start: usize, name: usize, end: usize) -> Result<(), XmlError> {
        self.count()?;
        if self.open.len() == self.limits.depth {
            return Err(XmlError::TooLarge(Limit::Depth));
        }
        let text = self.text;
        let place = self.tape.tokens.len();
        self.open.push(offset(place));
        let (prefix, local) = split_name(&text[start + 1..start + 1 + name])?;
        self.tape.tokens.push(Token::Open(Open {
            start: offset(start),
            inner: offset(end + 1),
            inner_end: 0,
            end: 0,
            after: 0,
            ns: NS_NONE,
            prefix: with_colon(prefix),
            name: length(local),
        }));
        let is_plain = self.attributes(start + 1 + name..end)?;
        let (ns, declared_at) = self.resolve(prefix)?;
        if let Token::Open(open) = &mut self.tape.tokens[place] {
            open.ns = ns;
        }
        if place == 0 {
            self.ties.name = !prefix.is_empty() || declared_at == 0 && ns != NS_CLIENT;
        } else {
            let is_plain = !prefix.is_empty() && declared_at <= 1 && self.may_be_plain(ns);
            if is_plain {
                self.ties.plain.push((self.open[1], offset(place)));
            }
            self.needs(prefix, ns, declared_at, is_plain);
        }
        self.resolve_attributes(place + 1, is_plain)
    }

    /// Reads the attributes in `range`. Returns whether none of them has a prefix.
    fn attributes(&mut self, range: Range<usize>) -> Result<bool, XmlError> {
        let text = self.text;
        let mut is_plain = true;
        for (seen, attribute) in Attributes::new(text, range).enumerate() {
            let place = attribute?;
            self.count()?;
            if seen == self.limits.attributes {
                return Err(XmlError::TooLarge(Limit::Attributes));
            }
            let (prefix, local) = split_name(&text[place.key.clone()])?;
            if let Some(bound) = declared(prefix, local) {
                self.bind(bound, place.key.start, place.value)?;
                continue;
            }
            is_plain &= prefix.is_empty();
            self.tape.tokens.push(Token::Attribute(Attribute {
                key: offset(place.key.start),
                value: offset(place.value.start),
                value_end: offset(place.value.end),
                ns: NS_NONE,
                prefix: with_colon(prefix),
                name: length(local),
            }));
        }
        Ok(is_plain)
    }

    /// A declaration of the innermost element.
    fn bind(&mut self, prefix: &'a str, key: usize, value: Range<usize>) -> Result<(), XmlError> {
        let depth = self.open.len();
        let declared = self.bindings.iter().rev().take_while(|binding| binding.depth == depth);
        if declared.into_iter().any(|binding| binding.prefix == prefix) {
            return Err(XmlError::NotWellFormed);
        }
        if self.bindings.len() == MAX_BINDINGS {
            return Err(XmlError::TooLarge(Limit::Prefixes));
        }
        let raw = &self.text[value.clone()];
        let namespace = unescape::attribute(raw);
        check_binding(prefix, &namespace)?;
        let ns = if namespace == CLIENT {
            NS_CLIENT
        } else if namespace == self.scope.content_namespace()
            && self.scope.is_content()
            && !self.is_request_of_user()
        {
            self.ties.content.push(value.clone());
            NS_CLIENT
        } else if namespace.is_empty() {
            NS_NONE
        } else if namespace == raw {
            self.intern(Namespace::Slice(offset(value.start), offset(value.end)))
        } else {
            self.intern(Namespace::Owned(namespace.as_ref().into()))
        };
        match (depth, prefix) {
            (1, "") => self.ties.default = Some(value),
            // The declaration changes nothing.
            (1, "xml") => {}
            (1, _) => self.tape.declared.push(offset(key)..offset(value.end + 1)),
            _ => {}
        }
        self.bindings.push(Binding { depth, prefix, ns });
        Ok(())
    }

    /// Whether the innermost element is the request inside of a privileged one: it is in the namespace that it says
    /// (XEP-0356 §6). Everywhere else libraries write the namespace of their stream into what they forward.
    fn is_request_of_user(&self) -> bool {
        let [_, around, _] = *self.open else { return false };
        let Token::Open(around) = &self.tape.tokens[around as usize] else { return false };
        let bytes = self.text.as_bytes();
        self.tape.ns(bytes, around.ns) == ns::PRIVILEGE.as_bytes()
            && &bytes[around.name_range()] == b"privileged_iq"
    }

    fn intern(&mut self, namespace: Namespace) -> NsId {
        self.tape.namespaces.push(namespace);
        NS_FIRST + offset(self.tape.namespaces.len() - 1)
    }

    /// The namespace of a prefix, and the depth of the element that declares it. 0 is the scope.
    fn resolve(&mut self, prefix: &str) -> Result<(NsId, usize), XmlError> {
        if let Some(binding) = self.bindings.iter().rev().find(|known| known.prefix == prefix) {
            return Ok((binding.ns, binding.depth));
        }
        match prefix {
            // It needs no declaration.
            "xml" => return Ok((NS_XML, usize::MAX)),
            "xmlns" => return Err(XmlError::BadNamespacePrefix),
            "" if self.scope.is_content() => return Ok((NS_CLIENT, 0)),
            _ => {}
        }
        let namespace = match prefix {
            "" => self.scope.content_namespace(),
            _ => self.scope.prefix(prefix).ok_or(XmlError::BadNamespacePrefix)?,
        };
        if namespace.is_empty() {
            return Ok((NS_NONE, 0));
        }
        if namespace == CLIENT {
            return Ok((NS_CLIENT, 0));
        }
        // A header declares few prefixes, but its children may use them often.
        if let Some(known) = self.scoped.iter().find(|known| known.0 == namespace) {
            return Ok((known.1, 0));
        }
        let ns = self.intern(Namespace::Owned(namespace.into()));
        self.scoped.push((namespace, ns));
        Ok((ns, 0))
    }

    /// Notes that the innermost element uses a prefix that was declared at this depth.
    fn needs(&mut self, prefix: &'a str, ns: NsId, declared_at: usize, is_plain: bool) {
        let depth = self.open.len();
        if declared_at > 1 || declared_at == 1 && depth == 1 {
            return;
        }
        // Around a child, the namespace of the element is the default.
        if prefix.is_empty() && self.is_of_root(ns) {
            return;
        }
        let at = if depth == 1 { 0 } else { self.open[1] };
        let mut known = self.ties.needs.iter_mut().rev().take_while(|need| need.at == at);
        match known.find(|need| need.prefix == prefix) {
            Some(need) => need.is_plain &= is_plain,
            None => self.ties.needs.push(Need { at, prefix, ns, is_plain }),
        }
    }

    fn is_of_root(&self, ns: NsId) -> bool {
        let Token::Open(root) = &self.tape.tokens[0] else { return false };
        let bytes = self.text.as_bytes();
        root.ns == ns || self.tape.ns(bytes, root.ns) == self.tape.ns(bytes, ns)
    }

    /// Whether the innermost element is in the namespace of the outermost one, and no element between them
    /// has declared another default namespace.
    fn may_be_plain(&self, ns: NsId) -> bool {
        let default = self.bindings.iter().rev().find(|known| known.prefix.is_empty());
        default.is_none_or(|default| default.depth <= 1) && self.is_of_root(ns)
    }

    /// Finds the namespaces of the attributes from `first` on, and checks that no two are the same.
    fn resolve_attributes(&mut self, first: usize, is_plain: bool) -> Result<(), XmlError> {
        if !is_plain {
            for at in first..self.tape.tokens.len() {
                let Token::Attribute(attribute) = &self.tape.tokens[at] else { continue };
                if attribute.prefix > 0 {
                    let key = attribute.key as usize;
                    let text = self.text;
                    let prefix = &text[key..key + usize::from(attribute.prefix) - 1];
                    let (ns, declared_at) = self.resolve(prefix)?;
                    self.needs(prefix, ns, declared_at, false);
                    if let Token::Attribute(attribute) = &mut self.tape.tokens[at] {
                        attribute.ns = ns;
                    }
                }
            }
        }
        let bytes = self.text.as_bytes();
        let attributes = &self.tape.tokens[first..];
        for (n, token) in attributes.iter().enumerate() {
            let Token::Attribute(one) = token else { continue };
            for token in &attributes[..n] {
                let Token::Attribute(other) = token else { continue };
                if one.name == other.name
                    && bytes[one.name_range()] == bytes[other.name_range()]
                    && self.tape.ns(bytes, one.ns) == self.tape.ns(bytes, other.ns)
                {
                    return Err(XmlError::NotWellFormed);
                }
            }
        }
        Ok(())
    }

    /// An end tag.
    fn end(&mut self, range: Range<usize>) -> Result<(), XmlError> {
        let bytes = self.text.as_bytes();
        let open = *self.open.last().ok_or(XmlError::NotWellFormed)?;
        let Token::Open(open) = &self.tape.tokens[open as usize] else {
            return Err(XmlError::NotWellFormed);
        };
        let tag = &bytes[range.start + 2..range.end - 1];
        let space = tag.strip_prefix(&bytes[open.qualified_range()]);
        if !space.is_some_and(|space| space.iter().copied().all(is_space)) {
            return Err(XmlError::NotWellFormed);
        }
        self.close(range.start, range.end);
        Ok(())
    }

    /// Closes the innermost element.
    fn close(&mut self, inner_end: usize, end: usize) {
        let depth = self.open.len();
        while self.bindings.last().is_some_and(|binding| binding.depth == depth) {
            self.bindings.pop();
        }
        let after = offset(self.tape.tokens.len());
        let open = self.open.pop().expect("an element is open");
        if let Token::Open(open) = &mut self.tape.tokens[open as usize] {
            open.inner_end = offset(inner_end);
            open.end = offset(end);
            open.after = after;
        }
    }

    /// Text and references become one token if nothing is between them.
    fn push_text(&mut self, range: Range<usize>) -> Result<(), XmlError> {
        if let Some(Token::Text { to, .. }) = self.tape.tokens.last_mut()
            && *to as usize == range.start
        {
            *to = offset(range.end);
            return Ok(());
        }
        self.count()?;
        let (from, to) = (offset(range.start), offset(range.end));
        self.tape.tokens.push(Token::Text { from, to });
        Ok(())
    }

    fn count(&mut self) -> Result<(), XmlError> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes { Err(XmlError::TooLarge(Limit::Nodes)) } else { Ok(()) }
    }
}

/// The reason for which quick-xml refuses input.
fn refused(error: &Error) -> XmlError {
    match error {
        Error::Syntax(
            SyntaxError::InvalidBangMarkup
            | SyntaxError::UnclosedComment
            | SyntaxError::UnclosedDoctype
            | SyntaxError::UnclosedPI
            | SyntaxError::UnclosedXmlDecl,
        ) => XmlError::RestrictedXml,
        _ => XmlError::NotWellFormed,
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).expect("a position is less than a length")
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("the length was checked to be less")
}

fn length(name: &str) -> u16 {
    u16::try_from(name.len()).expect("the length of a name was checked")
}

fn with_colon(prefix: &str) -> u16 {
    if prefix.is_empty() { 0 } else { length(prefix) + 1 }
}

/// Offsets have 32 bits.
const MAX_BYTES: usize = u32::MAX as usize;

/// Dropping a tree recurses, and must not overflow the stack.
const MAX_DEPTH: usize = 1000;

/// The largest number of declarations in force at one place.
const MAX_BINDINGS: usize = 128;
