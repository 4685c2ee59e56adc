//! `[[host]]`: a domain that is served.

use std::path::PathBuf;

use super::domain::prepare_domain;
use super::error::Problems;
use super::section::{Fields, section};
use super::value::{Domain, Path};

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

/// Refuses a key without a certificate. A certificate without `key` is allowed: its file may contain
/// the key.
pub(super) fn check(host: &HostConfig, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    if host.key.is_some() && host.certificate.is_none() {
        let at = fields.key_of("key").unwrap_or_else(|| fields.at.clone());
        let help = "add `certificate`, or remove `key` to use a self-signed certificate".to_owned();
        problems.add(&at, "`key` is set, but `certificate` is not", help);
    }
}

/// Refuses a domain that is listed twice.
pub(super) fn check_all(hosts: &[(HostConfig, Fields<'_>)], problems: &mut Problems<'_>) {
    let mut seen = Vec::new();
    for (_, fields) in hosts {
        // The text in the file is compared: if it is invalid, the host has the default domain.
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
