//! What waits of a stranger, as it is delivered when the user accepts its sender.

use crate::host::Cx;
use crate::host::strangers::{self, Guarded, Waiting};
use crate::jid::{BareJid, Jid};
use crate::payload::delay;
use crate::stanza::{Message, Presence, Stanza};
use crate::storage;
use crate::xml::Frame;

/// A stanza that waited.
#[derive(Debug)]
pub enum Released {
    /// A message, with the time at which it came (XEP-0203).
    Message(Message),
    /// A request for a subscription.
    Request(Presence),
}

/// What waits for `user` of this bare address, oldest first, each with its key for [`forget`].
///
/// # Errors
/// If the store fails.
pub async fn released(
    cx: &Cx<'_>,
    user: &BareJid,
    stranger: &Jid,
) -> storage::Result<Vec<(String, Released)>> {
    let mut waiting = strangers::all(&*cx.server.storage, user).await?;
    waiting.retain(|waiting| waiting.place.from == *stranger);
    let read = |waiting: Waiting| {
        let frame = Frame::from_bytes(waiting.xml).ok()?;
        let released = match Stanza::read(frame).ok()? {
            Stanza::Message(mut message) => {
                message.content.add(&delay::delay(&cx.host.jid, waiting.at));
                Released::Message(message)
            }
            Stanza::Presence(presence) => Released::Request(presence),
            Stanza::Iq(_) => return None,
        };
        Some((waiting.key, released))
    };
    Ok(waiting.into_iter().filter_map(read).collect())
}

/// A stanza waits no more. The store writes this after what was stored of the stanza before.
///
/// # Errors
/// If the store fails.
pub async fn forget(cx: &Cx<'_>, user: &BareJid, key: &str) -> storage::Result<()> {
    strangers::remove(cx.server, user, key).await.map(drop)
}

/// What waited of an address that is no stranger any more is delivered.
pub(super) fn release(cx: &mut Cx<'_>, guarded: &Guarded, user: &BareJid, other: &Jid) {
    let bare = other.bare_str();
    if guarded.waiting.iter().any(|place| place.from.as_str() == bare) {
        cx.outbox.release(user.clone(), other.to_bare().into());
    }
}
