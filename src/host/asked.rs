//! What a request for service discovery asks about.

use crate::jid::Jid;
use crate::payload::type_filter::TypeFilter;

/// The subject of a request for service discovery (XEP-0030).
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The address.
    pub to: &'a Jid,
    /// The sender of the request.
    pub from: &'a Jid,
    /// A node of the address; `None` for the address itself. Never empty (XEP-0030 §3.1).
    pub node: Option<&'a str>,
    /// Which nodes are wanted, by their types; `None` for all (XEP-0462).
    pub filter: Option<&'a TypeFilter>,
}
