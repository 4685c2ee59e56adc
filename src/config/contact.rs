//! `[contact]`: the public addresses of the people who run the server.

use super::section::section;
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
}
