//! A stored message as it is delivered.

use std::sync::Arc;

use crate::host::ServerState;
use crate::jid::BareJid;
use crate::payload::{delay, stanza_id};
use crate::stanza::Stanza;
use crate::storage::Waiting;
use crate::xml::Frame;

/// A stored message as it is delivered: with the time at which the server received it, if it is late
/// (XEP-0203), and with its id in the archive, which is always the same (XEP-0359).
///
/// DEPARTS: XEP-0203 §2 – the message may also have a `<delay/>` of its sender, whose network was bad
/// (XEP-0198 §4) and who knows when it was written. `from` distinguishes the two.
pub(super) fn as_redelivery(
    server: &ServerState,
    user: &BareJid,
    waiting: &Waiting,
    is_late: bool,
) -> Option<Arc<Stanza>> {
    let frame = Frame::from_bytes(waiting.xml.clone()).ok();
    let Some(Ok(Stanza::Message(mut message))) = frame.map(Stanza::read) else {
        tracing::error!(jid = %user, id = waiting.id.get(), "a stored message is damaged");
        return None;
    };
    if is_late {
        message.content.add(&delay::delay(&server.host(user.domain())?.jid, waiting.at));
    }
    if waiting.archived {
        let id = server.message_ids.write(waiting.id);
        message.content.add(&stanza_id::stanza_id(user, &id));
    }
    Some(Arc::new(Stanza::Message(message)))
}
