//! The top-level elements of a stream, as far as the load has to tell them apart.

use anyhow::{Context, bail};
use memchr::{memchr, memmem};

/// What a server sends to a client that is logged in.
pub(crate) enum Element<'a> {
    /// `<a h='…'/>`: so many stanzas are handled (XEP-0198 §4).
    Acknowledged(u32),
    /// `<r/>`: the server asks how many we have handled (XEP-0198 §4).
    Asked,
    /// A message, whole.
    Message(&'a [u8]),
    /// A presence, whole.
    Presence(&'a [u8]),
    /// A request, or the answer to one, whole.
    Iq(&'a [u8]),
}

/// The first whole element of `bytes` and where it ends; `None` if more has to come.
///
/// No stanza may have another of its own name inside.
///
/// # Errors
/// If the server ends the stream, or sends what it should not.
pub(crate) fn first(bytes: &[u8]) -> anyhow::Result<Option<(Element<'_>, usize)>> {
    let start = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let rest = &bytes[start..];
    let Some(tag_end) = memchr(b'>', rest) else { return Ok(None) };
    let tag = &rest[..tag_end];
    let name_end = tag.iter().position(|byte| b" \n/>".contains(byte)).unwrap_or(tag.len());
    let name = tag.get(1..name_end).unwrap_or_default();
    let length = if tag.ends_with(b"/") {
        tag_end + 1
    } else {
        let end_tag = [b"</", name, b">"].concat();
        let Some(at) = memmem::find(rest, &end_tag) else { return Ok(None) };
        at + end_tag.len()
    };
    let element = match name {
        b"a" => Element::Acknowledged(handled(tag)?),
        b"iq" => Element::Iq(&rest[..length]),
        b"message" => Element::Message(&rest[..length]),
        b"presence" => Element::Presence(&rest[..length]),
        b"r" => Element::Asked,
        _ => bail!("the server sends {}", String::from_utf8_lossy(rest)),
    };
    Ok(Some((element, start + length)))
}

/// The `h` of an acknowledgement.
fn handled(tag: &[u8]) -> anyhow::Result<u32> {
    let text = std::str::from_utf8(tag)?;
    let value = text.split_once(" h=").context("an acknowledgement without h")?.1;
    let digits = value.get(1..).unwrap_or_default();
    let end = digits.find(['\'', '"']).unwrap_or(digits.len());
    Ok(digits[..end].parse()?)
}
