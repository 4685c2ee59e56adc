//! What waits of a stranger is delivered: the user has accepted its sender, or has written to it.

use super::outcome::Outcome;
use super::{bounce, message, subscription};
use crate::host::strangers::lock;
use crate::host::{Cx, Halt};
use crate::jid::{BareJid, Jid};
use crate::modules::strangers::{self, Released};
use crate::stanza::{Condition, Presence, PresenceKind, Stanza};

/// Delivers what waits for `user` of `stranger`, oldest first, as if it arrived now. If the store fails, the
/// rest goes on waiting. No other task delivers it meanwhile.
pub(super) async fn release(cx: &mut Cx<'_>, user: &BareJid, stranger: &Jid) {
    let _lock = lock(cx.server, user).await;
    // If the store fails, the log says so already.
    let Ok(waiting) = strangers::released(cx, user, stranger).await else { return };
    for (key, released) in waiting {
        cx.keeping.count_writes(1);
        let (stanza, arrived) = arrive(cx, user, released).await;
        if matches!(&arrived, Err(Halt::Bounce(e, _)) if e.condition == Condition::InternalServerError)
        {
            return;
        }
        bounce::end(cx, &stanza, arrived);
        match strangers::forget(cx, user, &key).await {
            Ok(true) => {}
            Ok(false) => take_back(cx, user, stanza).await,
            Err(error) => {
                tracing::error!(jid = %user, %error, "a stanza of a stranger may be delivered again");
                return;
            }
        }
    }
}

/// The request was taken back while it was delivered, maybe before it was in the roster.
async fn take_back(cx: &mut Cx<'_>, user: &BareJid, stanza: Stanza) {
    let Stanza::Presence(request) = stanza else { return };
    let Some(from) = request.head.from else { return };
    let back = Presence::bare(PresenceKind::Unsubscribe, from, user.clone());
    let copy = Stanza::Presence(back.clone());
    let done = subscription::arrives(cx, user, back).await;
    bounce::end(cx, &copy, done);
}

async fn arrive(
    cx: &mut Cx<'_>,
    user: &BareJid,
    released: Released,
) -> (Stanza, Result<Outcome, Halt>) {
    match released {
        Released::Message(message) => {
            let copy = Stanza::Message(message.clone());
            let arrived = message::arrives(cx, None, user, None, message).await;
            (copy, arrived.map(|delivered| delivered.outcome))
        }
        Released::Request(presence) => {
            let copy = Stanza::Presence(presence.clone());
            (copy, subscription::arrives(cx, user, presence).await)
        }
    }
}
