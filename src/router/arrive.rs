//! A stanza arrives: which part of the server takes it, by where its `to` lives (RFC 6120 §10.4,
//! §10.5, RFC 6121 §8).

use super::outcome::Outcome;
use super::{iq, message, presence};
use crate::host::{Cx, Halt};
use crate::stanza::Stanza;

/// Hands a stanza over to what lives at its `to`. It must have one, and a `from` that is checked
/// already.
pub(super) async fn arrive(cx: &mut Cx<'_>, stanza: Stanza) -> Result<Outcome, Halt> {
    match stanza {
        Stanza::Iq(iq) => iq::to_recipient(cx, iq).await,
        Stanza::Message(mut message) => Ok(message::deliver(cx, None, &mut message).await?.outcome),
        Stanza::Presence(presence) => presence::to_recipient(cx, presence).await,
    }
}
