//! Archives, without any I/O: what is kept, what is asked, what is answered (XEP-0313).

pub mod importance;
pub mod inbox;
pub mod mention;
pub mod page;
pub mod policy;
pub mod query;
pub mod retention;

/// The feature: ids in forms, flipped pages, metadata (XEP-0313 §7).
pub const EXTENDED: &str = "urn:xmpp:mam:2#extended";
/// The feature: the field `include-groupchat` is understood (XEP-0313 §7).
pub const GROUPCHAT_FIELD: &str = "urn:xmpp:mam:2#groupchat-field";
/// The feature: words can be searched for (XEP-0431 §2.1).
pub const FULLTEXT: &str = "urn:xmpp:fulltext:0";
