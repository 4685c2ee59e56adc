//! The owner of an archive.

use crate::host::Cx;
use crate::jid::BareJid;
use crate::session::SessionRef;
use crate::stanza::{Condition, StanzaError};

/// The account whose client sends a request, or for which a component does. Others have been refused already.
///
/// # Errors
/// `forbidden` for anonymous users, who have no archive (XEP-0175).
pub(super) fn owner(cx: &Cx<'_>) -> Result<BareJid, StanzaError> {
    if cx.origin.session().is_some_and(SessionRef::is_anonymous) {
        return Err(Condition::Forbidden.text("only registered users may do this"));
    }
    Ok(cx.origin.user().ok_or(Condition::Forbidden)?)
}
