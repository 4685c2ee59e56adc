//! What a client has asked for, once for the whole session: simple switches that features read.

use serde::{Deserialize, Serialize};

/// What a client has asked for. A flag belongs to the feature that its comment names.
///
/// Flags are part of a session's snapshot (`snapshot.rs`), each under its own name. A new flag is one
/// line here: a snapshot without it is read with `false`. A flag is never renamed, because clients would
/// lose what they have asked for when the server is upgraded.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct ClientFlags {
    /// It has asked for the roster, so it gets roster pushes (RFC 6121 §2.1.6). Of `modules/roster.rs`.
    pub interested: bool,
    /// It has asked for the block list, so it gets its changes (XEP-0191 §3.3). Of
    /// `modules/blocking.rs`.
    pub wants_blocklist: bool,
    /// It gets copies of what the user's other clients send and receive (XEP-0280). Of
    /// `modules/carbons.rs`.
    pub carbons: bool,
    /// It says in its presence that there is no photo (XEP-0398 §4). Of `modules/vcard.rs`.
    pub no_photo: bool,
}
