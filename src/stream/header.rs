//! The opening of a stream (RFC 6120 §4.7): what a client's header must say, what ours says.

use crate::jid::Jid;
use crate::ns;
use crate::stanza::{StreamCondition, StreamError};
use crate::xml::{Header, escape_attr};

/// Checks a client's header, without regard to the domain (RFC 6120 §4.7, §4.8, §4.9.3).
///
/// # Errors
/// The stream error that it deserves.
pub fn check(header: &Header) -> Result<(), StreamError> {
    if header.name != "stream" {
        return Err(StreamCondition::BadFormat.text("a stream must begin with a stream element"));
    }
    // The content namespace is the default one, or each stanza declares it, or a prefix stands for
    // it (RFC 6120 §4.8.2).
    let content = header.default_namespace == ns::CLIENT
        || header.default_namespace == ns::STREAM
        || header.default_namespace.is_empty()
            && header.prefixes.iter().any(|(_, ns)| ns == ns::CLIENT);
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

/// Our own header: as long as no domain is known, it comes from the first one.
#[must_use]
pub fn response(id: &str, from: &str, to: Option<&Jid>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"<?xml version='1.0'?><stream:stream xmlns='");
    out.extend_from_slice(ns::CLIENT.as_bytes());
    out.extend_from_slice(b"' xmlns:stream='");
    out.extend_from_slice(ns::STREAM.as_bytes());
    out.extend_from_slice(b"' version='1.0' xml:lang='en' id='");
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(b"' from='");
    escape_attr(&mut out, from);
    if let Some(to) = to {
        out.extend_from_slice(b"' to='");
        escape_attr(&mut out, to.as_str());
    }
    out.extend_from_slice(b"'>");
    out
}

/// The end of a stream.
pub const END: &[u8] = b"</stream:stream>";
