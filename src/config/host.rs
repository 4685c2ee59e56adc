//! `[[host]]`: a domain that is served.

use std::path::PathBuf;

use super::error::Problems;
use super::section::{Fields, section};
use super::value::{Domain, Path};
use crate::jid::{BareJid, JidError};

section! {
    /// A domain of this server: the part of an address after the `@`.
    ///
    /// Repeat the section for each domain. Without one, the server serves `localhost`.
    pub struct HostConfig = "host";

    /// The domain name, in Unicode or in ASCII form.
    domain: String = "localhost".to_owned() => Domain, Restart;

    /// PEM file with the domain's certificate, followed by the intermediate certificates. If it is
    /// not set, the server makes a self-signed certificate and keeps it in the data directory; most
    /// clients then ask the user whether to trust it.
    certificate: Option<PathBuf> = None
        => Path("\"/etc/letsencrypt/live/example.org/fullchain.pem\""), Reload;

    /// PEM file with the private key of the certificate. Leave it out if the certificate's file
    /// contains the key.
    key: Option<PathBuf> = None
        => Path("\"/etc/letsencrypt/live/example.org/privkey.pem\""), Reload;
}

/// Prepares the name of a domain that is to be served, so that it equals the domain of
/// addresses on the wire.
///
/// # Errors
/// What to write instead.
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

/// A key is of no use without its certificate. (The other way round, the key may be in the file of
/// the certificate.)
pub(super) fn check(host: &HostConfig, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    if host.key.is_some() && host.certificate.is_none() {
        let at = fields.key_of("key").unwrap_or_else(|| fields.at.clone());
        let help = "add `certificate`, or remove `key` to use a self-signed certificate".to_owned();
        problems.add(&at, "`key` is set, but `certificate` is not", help);
    }
}

/// A domain is served once.
pub(super) fn check_all(hosts: &[(HostConfig, Fields<'_>)], problems: &mut Problems<'_>) {
    let mut seen = Vec::new();
    for (_, fields) in hosts {
        // Not that of the host: a default stands there if what is written is wrong.
        let written = fields.table.get("domain").and_then(|value| value.get_ref().as_str());
        let Some(domain) = written.and_then(|text| prepare_domain(text).ok()) else { continue };
        if seen.contains(&domain) {
            problems.add(
                &fields.value_of("domain").unwrap_or_else(|| fields.at.clone()),
                format!("{domain} is served already by an earlier [[host]]"),
                "remove one of the two sections".to_owned(),
            );
        }
        seen.push(domain);
    }
}
