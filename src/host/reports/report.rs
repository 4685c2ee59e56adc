//! What a report says (XEP-0377).

use crate::jid::Jid;

/// A report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// Who reports.
    pub by: Jid,
    /// Who is reported.
    pub about: Jid,
    /// The reason: a URN of XEP-0377 §4, or another one. At most 256 bytes.
    pub reason: String,
    /// What the user says about it.
    pub text: String,
    /// The user allows that it is forwarded to the domain of the reported address (XEP-0377 §5).
    pub may_go_to_origin: bool,
    /// The user allows that it is forwarded to others (XEP-0377 §5).
    pub may_go_to_others: bool,
    /// Messages of the reported address, from the archive of the user: whole stanzas.
    pub messages: Vec<String>,
}
