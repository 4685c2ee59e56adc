//! What waits of a stranger, as it is delivered when the user accepts its sender.

use super::approach;
use super::known::is_known;
use crate::host::strangers::{self, Approach, Choice, Guarded, Waiting};
use crate::host::{Cx, Halt};
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

/// What waits for `user` of this bare address and is let through now, oldest first, each with its key for
/// [`forget`]. The caller holds the lock of the account (`host/strangers/lock.rs`).
///
/// # Errors
/// `internal-server-error` if the store fails.
pub async fn released(
    cx: &Cx<'_>,
    user: &BareJid,
    stranger: &Jid,
) -> Result<Vec<(String, Released)>, Halt> {
    let mut waiting = strangers::all(&*cx.server.storage, user).await?;
    waiting.retain(|waiting| waiting.place.from == *stranger);
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let guarded = strangers::of(cx.server, user).await?;
    let mut all = Vec::new();
    for waiting in waiting {
        let key = waiting.key.clone();
        let Some(released) = read(cx, waiting) else { continue };
        let passes = match &guarded {
            Some(guarded) => passes(cx, guarded, user, &released).await?,
            None => true,
        };
        if passes {
            all.push((key, released));
        }
    }
    Ok(all)
}

fn read(cx: &Cx<'_>, waiting: Waiting) -> Option<Released> {
    match Stanza::read(Frame::from_bytes(waiting.xml).ok()?).ok()? {
        Stanza::Message(mut message) => {
            message.content.add(&delay::delay(&cx.host.jid, waiting.at));
            Some(Released::Message(message))
        }
        Stanza::Presence(presence) => Some(Released::Request(presence)),
        Stanza::Iq(_) => None,
    }
}

/// Whether it would not wait if it came now.
async fn passes(
    cx: &Cx<'_>,
    guarded: &Guarded,
    user: &BareJid,
    released: &Released,
) -> Result<bool, Halt> {
    let (by, approach, choice) = match released {
        Released::Message(message) => {
            let Some(wants) = approach::of(message) else { return Ok(true) };
            let choice = wants.choice(&guarded.policy);
            (wants.by.into_owned(), wants.approach, choice)
        }
        Released::Request(presence) => {
            let Some(from) = &presence.head.from else { return Ok(true) };
            let choice = guarded.policy.on(Approach::Subscription);
            (from.to_bare().into(), Approach::Subscription, choice)
        }
    };
    Ok(choice == Choice::Allow || is_known(cx, guarded, user, approach, &by).await?)
}

/// Whether a stanza waits: its sender has not taken it back.
///
/// # Errors
/// If the store fails.
pub async fn waits(cx: &Cx<'_>, user: &BareJid, key: &str) -> storage::Result<bool> {
    strangers::is_there(&*cx.server.storage, user, key).await
}

/// Removes a stanza that no longer waits. The store writes this after everything that was stored of the stanza before.
///
/// # Errors
/// If the store fails.
pub async fn forget(cx: &Cx<'_>, user: &BareJid, key: &str) -> storage::Result<()> {
    strangers::remove(cx.server, user, key).await.map(drop)
}
