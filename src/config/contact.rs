//! `[contact]`: the public addresses of the people who run the server.

use super::error::Problems;
use super::section::{Fields, section};
use super::value::Uris;

section! {
    /// Contact addresses of the people who run this server. They are public (XEP-0157): for operators
    /// of other servers who have a complaint, and for users who need help. Set at least `abuse`.
    pub struct ContactConfig = "contact";

    /// Complaints about abuse.
    abuse: Vec<String> = Vec::new() => Uris, Restart;

    /// The administrators.
    admin: Vec<String> = Vec::new() => Uris, Restart;

    /// Feedback.
    feedback: Vec<String> = Vec::new() => Uris, Restart;

    /// Sales.
    sales: Vec<String> = Vec::new() => Uris, Restart;

    /// Reports of vulnerabilities.
    security: Vec<String> = Vec::new() => Uris, Restart;

    /// Status pages.
    status: Vec<String> = Vec::new() => Uris, Restart;

    /// Help for users.
    support: Vec<String> = Vec::new() => Uris, Restart;

    /// Files with the state of the server, for programs (XEP-0455): clients that cannot connect read there what has
    /// happened. They should be on another machine. While all is well, they contain `{}`.
    outage: Vec<String> = Vec::new() => Uris, Reload;
}

/// Refuses files that clients cannot read (XEP-0455 §2.1).
pub(super) fn check(contact: &ContactConfig, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    let is_page = |uri: &String| uri.starts_with("https://") || uri.starts_with("http://");
    if !contact.outage.iter().all(is_page) {
        let at = fields.value_of("outage").unwrap_or_else(|| fields.at.clone());
        let help = "write for example \"https://status.example.net/outage.json\"".to_owned();
        problems.add(&at, "`outage` has an address that is no web page", help);
    }
}
