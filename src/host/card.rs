//! The card of an account (XEP-0054): stored here, changed by the feature that answers requests for it, and by features
//! that copy into it what the user publishes elsewhere.

use super::{Invalidation, ServerState};
use crate::jid::BareJid;
use crate::storage;
use crate::xml::Frame;

/// The card of an account, if it has one.
///
/// # Errors
/// If the store fails. A damaged card is logged, and is none.
pub async fn read(server: &ServerState, user: &BareJid) -> storage::Result<Option<Frame>> {
    let Some(kept) = server.storage.documents().get(user, KIND, "").await? else {
        return Ok(None);
    };
    let frame = Frame::from_bytes(kept);
    Ok(frame
        .inspect_err(|error| tracing::error!(jid = %user, %error, "a stored vCard is damaged"))
        .ok())
}

/// Stores a card in place of the older one. `false` if it is larger than `limits.vcard`: then nothing has
/// changed.
///
/// # Errors
/// If the store fails, or the account has no room left.
pub async fn write(server: &ServerState, user: &BareJid, card: &Frame) -> storage::Result<bool> {
    if card.bytes().len() > server.config.load().limits.vcard {
        return Ok(false);
    }
    let xml = String::from_utf8_lossy(card.bytes());
    let kept = server.storage.documents().put_within_quota(user, KIND, "", &xml).await;
    kept.inspect_err(|error| server.count_refusal(error))?;
    server.invalidate(&Invalidation::Card(user.clone()));
    Ok(true)
}

/// The name under which changes of nodes are told that follow the card.
pub const NAME: &str = "card";
/// The kind of document.
const KIND: &str = "vcard";
