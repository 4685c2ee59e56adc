//! The owner of an archive.

use crate::host::Cx;
use crate::jid::BareJid;
use crate::session::Session;
use crate::stanza::{Condition, StanzaError};

/// The session that sends a request, and its account. Others have been refused already.
///
/// # Errors
/// `forbidden` for anonymous users, who have no archive (XEP-0175).
pub(super) fn owner<'a>(cx: &Cx<'a>) -> Result<(&'a Session, BareJid), StanzaError> {
    let session = cx.origin.owned().ok_or(Condition::Forbidden)?;
    match session.handle().is_anonymous() {
        true => Err(Condition::Forbidden.text("only registered users may do this")),
        false => Ok((session, session.handle().jid().to_bare())),
    }
}
