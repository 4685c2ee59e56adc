//! What waits of a stranger is delivered: the user has accepted its sender, or has written to it.

use std::pin::pin;

use tracing::Instrument as _;

use super::outcome::{self, Outcome};
use super::{bounce, message, subscription};
use crate::host::strangers::lock;
use crate::host::{Cx, Halt, stanza_log};
use crate::jid::{BareJid, Jid};
use crate::modules::strangers::{self, Released};
use crate::stanza::{Condition, Stanza};

/// Delivers what waits for `user` of `stranger`, oldest first, as if it arrived now. If the store fails, the
/// rest goes on waiting. No other task delivers it meanwhile.
pub(super) async fn release(cx: &mut Cx<'_>, user: &BareJid, stranger: &Jid) {
    let _lock = lock(cx.server, user).await;
    // If the store fails, the log says so already.
    let Ok(waiting) = strangers::released(cx, user, stranger).await else { return };
    for (key, released) in waiting {
        cx.keeping.count_writes(1);
        let stanza = match &released {
            Released::Message(message) => Stanza::Message(message.clone()),
            Released::Request(presence) => Stanza::Presence(presence.clone()),
        };
        let span = stanza_log::span(&stanza, None);
        let arrived = {
            let pipeline = pin!(arrive(cx, user, &key, released));
            pipeline.instrument(span.clone()).await
        };
        if matches!(&arrived, Err(Halt::Bounce(e, _)) if e.condition == Condition::InternalServerError)
        {
            span.in_scope(|| outcome::log(Outcome::Request));
            return;
        }
        span.in_scope(|| bounce::end(cx, &stanza, arrived));
        if let Err(error) = strangers::forget(cx, user, &key).await {
            tracing::error!(jid = %user, %error, "a stanza of a stranger may be delivered again");
            return;
        }
    }
}

async fn arrive(
    cx: &mut Cx<'_>,
    user: &BareJid,
    key: &str,
    released: Released,
) -> Result<Outcome, Halt> {
    match released {
        Released::Message(message) => {
            Ok(message::arrives(cx, None, user, None, message).await?.outcome)
        }
        Released::Request(presence) => {
            subscription::arrives_unless_taken_back(cx, user, presence, Some(key)).await
        }
    }
}
