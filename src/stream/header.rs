//! The header of a stream (RFC 6120 §4.7): what a peer's must say, and what ours says.

use smol_str::SmolStr;

use crate::jid::Jid;
use crate::ns;
use crate::random::random_id;
use crate::stanza::{StreamCondition, StreamError};
use crate::xml::{Header, escape_attr};

/// Checks a client's header, without regard to the domain (RFC 6120 §4.7, §4.8, §4.9.3).
///
/// # Errors
/// The stream error for a header that is wrong.
pub fn check(header: &Header) -> Result<(), StreamError> {
    check_for(header, ns::CLIENT)
}

/// The same for the header of another server.
///
/// # Errors
/// The stream error for a header that is wrong.
pub fn check_server(header: &Header) -> Result<(), StreamError> {
    check_for(header, ns::SERVER)
}

fn check_for(header: &Header, content_namespace: &str) -> Result<(), StreamError> {
    if header.name != "stream" {
        return Err(StreamCondition::BadFormat.text("a stream must begin with a stream element"));
    }
    // The content namespace is the default namespace, or has a prefix, or each stanza declares it
    // (RFC 6120 §4.8.2).
    let content = header.default_namespace == content_namespace
        || header.default_namespace == ns::STREAM
        || header.default_namespace.is_empty()
            && header.prefixes.iter().any(|(_, ns)| ns == content_namespace);
    if header.ns != ns::STREAM || !content {
        return Err(StreamCondition::InvalidNamespace.into());
    }
    // RFC 6120 §4.7.5: no version means 0.9, which this server does not speak.
    let major = header.version.as_deref().and_then(|v| v.split('.').next()?.parse::<u32>().ok());
    if major.is_none_or(|major| major < 1) {
        return Err(StreamCondition::UnsupportedVersion.into());
    }
    Ok(())
}

/// What our own header says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StreamHeader {
    /// The id of the stream: 128 random bits (RFC 6120 §4.7.3). Empty if we open the stream: the peer gives it one.
    pub id: SmolStr,
    /// The domain that was asked for, or in whose name we ask; our first domain as long as none is known.
    pub from: String,
    /// The `from` of the peer's header, if it is an address.
    pub to: Option<Jid>,
    /// The peer is another server.
    pub is_server: bool,
}

impl StreamHeader {
    /// With a new id.
    #[must_use]
    pub fn new(from: &str, to: Option<Jid>) -> Self {
        Self { id: random_id(), from: from.to_owned(), to, is_server: false }
    }

    /// To another server, which has opened the stream.
    #[must_use]
    pub fn to_server(from: &str, to: Option<Jid>) -> Self {
        Self { is_server: true, ..Self::new(from, to) }
    }

    /// To another server: we open the stream.
    #[must_use]
    pub fn initial(from: &str, to: Jid) -> Self {
        Self { id: SmolStr::default(), from: from.to_owned(), to: Some(to), is_server: true }
    }
}

/// Appends our header, as it is written over TCP.
pub(super) fn write(header: &StreamHeader, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<?xml version='1.0'?><stream:stream xmlns='");
    let content = if header.is_server { ns::SERVER } else { ns::CLIENT };
    out.extend_from_slice(content.as_bytes());
    if header.is_server {
        out.extend_from_slice(b"' xmlns:db='");
        out.extend_from_slice(ns::DIALBACK.as_bytes());
    }
    out.extend_from_slice(b"' xmlns:stream='");
    out.extend_from_slice(ns::STREAM.as_bytes());
    out.extend_from_slice(b"' version='1.0' xml:lang='en");
    if !header.id.is_empty() {
        out.extend_from_slice(b"' id='");
        out.extend_from_slice(header.id.as_bytes());
    }
    out.extend_from_slice(b"' from='");
    escape_attr(out, &header.from);
    if let Some(to) = &header.to {
        out.extend_from_slice(b"' to='");
        escape_attr(out, to.as_str());
    }
    out.extend_from_slice(b"'>");
}

/// The end of a stream.
pub(super) const END: &[u8] = b"</stream:stream>";
