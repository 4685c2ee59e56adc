//! The open tag of a stream (RFC 6120 §4.7) and the namespaces it puts in force (§4.8).
//!
//! This file reads the addresses, the version and the namespaces; the negotiation checks them. A header
//! may declare prefixes that the children use, so [`Frame::parse`](super::Frame::parse) needs its
//! [`Scope`].

use std::sync::{Arc, OnceLock};

use super::chars::text;
use super::tag::{Attributes, check_binding, declared, qualified_name, split_name};
use super::{CLIENT, Limit, STREAMS, XML, XmlError, unescape};

/// The open tag of a stream, or of an element that takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The element's name without prefix. A valid one is `stream`.
    pub name: String,
    /// The element's namespace; empty if it has no namespace.
    pub ns: String,
    /// The default namespace that the element declares; empty if it declares none.
    pub default_namespace: String,
    /// The prefixes that the element declares, with their namespaces.
    pub prefixes: Vec<(String, String)>,
    /// The `to` attribute, unchecked.
    pub to: Option<String>,
    /// The `from` attribute, unchecked.
    pub from: Option<String>,
    /// The stream's id, which the receiving side sets.
    pub id: Option<String>,
    /// The version of XMPP, unchecked.
    pub version: Option<String>,
    /// `xml:lang`, the default language of the stream's children.
    pub lang: Option<String>,
}

/// Reads the open tag of a stream, as [`Piece::Header`](super::Piece::Header) gives it.
///
/// # Errors
/// The same as [`Frame::parse`](super::Frame::parse) for an open tag; `BadFormat` if the tag closes
/// itself.
pub fn header(bytes: &[u8]) -> Result<Header, XmlError> {
    let text = text(bytes)?;
    let tag = text
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .ok_or(XmlError::NotWellFormed)?;
    if tag.ends_with('/') {
        return Err(XmlError::BadFormat);
    }
    let name = &tag[..qualified_name(tag.as_bytes()).len()];
    let (prefix, local) = split_name(name)?;
    let mut header = Header::empty(local);
    let mut others: Vec<(&str, &str, String)> = Vec::new();
    let mut has_default = false;
    for attribute in Attributes::new(tag, name.len()..tag.len()) {
        let place = attribute?;
        let (prefix, local) = split_name(&tag[place.key])?;
        let value = unescape::attribute(&tag[place.value]).into_owned();
        let Some(bound) = declared(prefix, local) else {
            others.push((prefix, local, value));
            continue;
        };
        check_binding(bound, &value)?;
        if header.prefixes.iter().any(|known| known.0 == bound) || bound.is_empty() && has_default {
            return Err(XmlError::NotWellFormed);
        }
        if bound.is_empty() {
            has_default = true;
            header.default_namespace = value;
        } else {
            header.prefixes.push((bound.to_owned(), value));
        }
        if header.prefixes.len() > MAX_DECLARED {
            return Err(XmlError::TooLarge(Limit::Prefixes));
        }
    }
    header.ns = header.resolve(prefix).ok_or(XmlError::BadNamespacePrefix)?.to_owned();
    header.fill(others)?;
    Ok(header)
}

impl Header {
    fn empty(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ns: String::new(),
            default_namespace: String::new(),
            prefixes: Vec::new(),
            to: None,
            from: None,
            id: None,
            version: None,
            lang: None,
        }
    }

    fn fill(&mut self, attributes: Vec<(&str, &str, String)>) -> Result<(), XmlError> {
        let mut seen: Vec<(String, &str)> = Vec::new();
        for (prefix, local, value) in attributes {
            let ns = match prefix {
                "" => "",
                _ => self.resolve(prefix).ok_or(XmlError::BadNamespacePrefix)?,
            };
            if seen.iter().any(|other| other.0 == ns && other.1 == local) {
                return Err(XmlError::NotWellFormed);
            }
            if seen.len() == MAX_ATTRIBUTES {
                return Err(XmlError::TooLarge(Limit::Attributes));
            }
            seen.push((ns.to_owned(), local));
            match (ns, local) {
                ("", "from") => self.from = Some(value),
                ("", "id") => self.id = Some(value),
                ("", "to") => self.to = Some(value),
                ("", "version") => self.version = Some(value),
                (XML, "lang") => self.lang = Some(value),
                _ => {}
            }
        }
        Ok(())
    }

    fn resolve(&self, prefix: &str) -> Option<&str> {
        match prefix {
            "" => Some(&self.default_namespace),
            "xml" => Some(XML),
            _ => find(&self.prefixes, prefix),
        }
    }
}

/// The namespaces in force for the children of a stream. A clone shares them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    inner: Arc<Inner>,
}

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    default: String,
    prefixes: Vec<(String, String)>,
}

impl Scope {
    /// The namespaces that a stream's header declares.
    pub fn from_header(header: &Header) -> Self {
        let usual = Self::default();
        if header.default_namespace == usual.inner.default
            && header.prefixes == usual.inner.prefixes
        {
            return usual; // all connections with the usual header share one
        }
        let inner =
            Inner { default: header.default_namespace.clone(), prefixes: header.prefixes.clone() };
        Self { inner: Arc::new(inner) }
    }

    /// No namespace is in force, as around a document.
    pub fn none() -> Self {
        static NONE: OnceLock<Scope> = OnceLock::new();
        let make = || Inner { default: String::new(), prefixes: Vec::new() };
        NONE.get_or_init(|| Self { inner: Arc::new(make()) }).clone()
    }

    /// The namespace of a child without prefix and declaration; empty if the header declares
    /// none. `jabber:client` on a client's stream.
    pub fn content_namespace(&self) -> &str {
        &self.inner.default
    }

    /// The namespace of a prefix.
    pub(super) fn prefix(&self, prefix: &str) -> Option<&str> {
        find(&self.inner.prefixes, prefix)
    }

    /// Whether the content namespace is read as `jabber:client`. The content namespaces of servers and
    /// components have the same elements (RFC 6120 §4.8.3, XEP-0114 §3).
    pub(super) fn is_content(&self) -> bool {
        CONTENT.contains(&self.content_namespace())
    }
}

impl Default for Scope {
    /// The header that this server writes to clients.
    fn default() -> Self {
        static USUAL: OnceLock<Scope> = OnceLock::new();
        let make = || Inner {
            default: CLIENT.to_owned(),
            prefixes: vec![("stream".to_owned(), STREAMS.to_owned())],
        };
        USUAL.get_or_init(|| Self { inner: Arc::new(make()) }).clone()
    }
}

fn find<'a>(prefixes: &'a [(String, String)], prefix: &str) -> Option<&'a str> {
    prefixes.iter().find(|known| known.0 == prefix).map(|known| known.1.as_str())
}

/// The content namespaces of the kinds of streams. All have the same elements.
const CONTENT: [&str; 3] = [CLIENT, crate::ns::COMPONENT, crate::ns::SERVER];

/// A header of a client has about six attributes, two of them declarations.
const MAX_ATTRIBUTES: usize = 32;
const MAX_DECLARED: usize = 16;
