//! A request to one of our sessions, or the answer to one.

use std::sync::Arc;

use super::outcome::Outcome;
use crate::host::{Cx, Halt, Origin, stanza_log};
use crate::jid::{BareJid, FullJid};
use crate::modules::{blocking, last_activity};
use crate::stanza::{Condition, Iq, Stanza};

/// For a session. It gets the answers to its own requests, and the requests of users who may know that it is online:
/// by a subscription, or by its directed presence. All others get the same error whether there is such a session or
/// not, so nobody finds out who is online by asking (RFC 6121 §8.5.3.1). To a request for the last activity this error
/// is `forbidden` (XEP-0012 §4).
///
/// DEPARTS: RFC 6121 §8.5.3.1 – also a client to which this session has sent a request may send it
/// requests. It knows the full address from that; and both sides of a call (XEP-0166) send requests, even
/// if only one of them sees the presence of the other.
pub(super) async fn for_session(cx: &mut Cx<'_>, full: &FullJid, iq: Iq) -> Result<Outcome, Halt> {
    let user = full.to_bare();
    let session = cx.server.sessions.find(full);
    let is_blocked = blocking::is_blocked(cx, &user, &iq.head).await?;
    if iq.is_request() && is_of_others(cx, &user) {
        let is_seen = match (&session, &iq.head.from) {
            (Some(session), Some(from)) => session.is_known_at(from),
            _ => false,
        };
        if is_blocked || !is_seen && !is_known(cx, &user, &iq).await? {
            return Err(match last_activity::is_asked(&iq) {
                true => Halt::bounce(Condition::Forbidden, STRANGER),
                false => Halt::bounce(Condition::ServiceUnavailable, STRANGER),
            });
        }
    }
    let refused = |reason| Halt::bounce(Condition::ServiceUnavailable, reason);
    if is_blocked {
        return Err(refused("the recipient blocks the sender"));
    }
    let session = session.ok_or_else(|| refused("no such session"))?;
    match session.deliver(Arc::new(Stanza::Iq(iq))) {
        Ok(accepted) => {
            stanza_log::note_delivery(&session, Ok(accepted));
            Ok(Outcome::Delivered(1))
        }
        Err(undelivered) => Err(refused(undelivered.reason())),
    }
}

/// Whether the request comes from somebody else than this user and the server itself.
fn is_of_others(cx: &Cx<'_>, user: &BareJid) -> bool {
    !matches!(cx.origin, Origin::Internal) && !cx.origin.is_of(user)
}

/// The sender may see the presence of this account, and so may know that it exists.
pub(super) async fn is_known(cx: &Cx<'_>, user: &BareJid, iq: &Iq) -> Result<bool, Halt> {
    let Some(from) = &iq.head.from else { return Ok(false) };
    Ok(cx.shows_presence(user, from).await?)
}

/// Why a request goes no further.
pub(super) const STRANGER: &str = "the sender may not know whether the recipient is there";
