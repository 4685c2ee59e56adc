//! `[contact]`: whom people and other servers may write to.

use super::kind::Uris;
use super::section::section;

section! {
    /// Where the people who run this server can be reached. Everybody is told (XEP-0157): other
    /// servers' operators who have a complaint, users who need help. At least one address for
    /// `abuse` is good manners.
    pub struct ContactConfig = "contact";

    /// For complaints about abuse.
    abuse: Vec<String> = Vec::new() => Uris, Restart;

    /// The administrators.
    admin: Vec<String> = Vec::new() => Uris, Restart;

    /// For praise and blame.
    feedback: Vec<String> = Vec::new() => Uris, Restart;

    /// For who wants to buy something.
    sales: Vec<String> = Vec::new() => Uris, Restart;

    /// For reports of weaknesses.
    security: Vec<String> = Vec::new() => Uris, Restart;

    /// Pages that tell whether the server works.
    status: Vec<String> = Vec::new() => Uris, Restart;

    /// For users who need help.
    support: Vec<String> = Vec::new() => Uris, Restart;
}
