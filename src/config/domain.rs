//! The domains that the server can serve.

use crate::jid::{BareJid, JidError};

/// The domain of a server whose configuration names none.
pub const DEFAULT_DOMAIN: &str = "localhost";

/// Prepares the name of a domain for serving it. The result equals the domain in the addresses of
/// stanzas.
///
/// # Errors
/// A sentence that says what to write instead.
pub fn prepare_domain(text: &str) -> Result<String, String> {
    let example = "for example \"example.org\"";
    if text.is_empty() {
        return Err(format!("write a domain name, {example}"));
    }
    if let Some((_, domain)) = text.rsplit_once('@') {
        return Err(format!("write only what is behind the `@`: \"{domain}\""));
    }
    if let Some((_, rest)) = text.split_once("://") {
        let domain = rest.split(['/', ':']).next().unwrap_or_default();
        return Err(format!("write the name alone: \"{domain}\""));
    }
    if let Some(domain) = text.strip_suffix('.') {
        return Err(format!("write it without the dot at the end: \"{domain}\""));
    }
    if let Some((domain, port)) = text.split_once(':')
        && port.parse::<u16>().is_ok()
    {
        return Err(format!("write the name alone, ports belong into [listen]: \"{domain}\""));
    }
    if text.contains('/') || text.contains(char::is_whitespace) {
        return Err(format!("a domain has no blanks and no slashes; {example}"));
    }
    if text.contains('*') {
        return Err("write each domain in a [[host]] of its own; there are no patterns".to_owned());
    }
    if text.starts_with('.') || text.contains("..") {
        return Err(format!("between two dots something must stand; {example}"));
    }
    let jid = BareJid::from_parts(None, text).map_err(|error| match error {
        JidError::TooLong => "write a shorter name".to_owned(),
        _ => format!("a domain has letters, digits, hyphens and dots; {example}"),
    })?;
    Ok(jid.domain().to_lowercase())
}
