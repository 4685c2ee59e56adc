//! What a room says goes to the sessions of its occupants, while the room is locked: so all of them hear
//! the same in the same order.

use std::sync::Arc;

use crate::host::{Cx, OurDomain, block_list};
use crate::jid::{FullJid, Jid};
use crate::stanza::Stanza;

/// Delivers a stanza to sessions. Returns those that cannot be reached any more.
pub(super) async fn tell(cx: &mut Cx<'_>, stanza: &Arc<Stanza>, to: &[Jid]) -> Vec<Jid> {
    let mut lost = Vec::new();
    for jid in to {
        let local = match cx.server.ours(jid.domain()) {
            Some(OurDomain::Host(_)) => jid.to_full(),
            Some(OurDomain::Service(_)) | None => None,
        };
        match local {
            Some(full) => {
                if !here(cx, stanza, &full).await {
                    lost.push(jid.clone());
                }
            }
            // Another server, or a component: in the order in which the outbox is sent.
            None => {
                let mut copy = Stanza::clone(stanza);
                copy.head_mut().to = Some(jid.clone());
                cx.outbox.send(copy);
            }
        }
    }
    cx.keeping.count_deliveries(to.len());
    lost
}

/// Delivers a stanza to a session of this server. `false` if there is no such session.
async fn here(cx: &Cx<'_>, stanza: &Arc<Stanza>, full: &FullJid) -> bool {
    let Some(session) = cx.server.sessions.find(full) else { return false };
    let user = full.to_bare();
    if let Ok(list) = block_list::of(cx.server, &user).await
        && !list.is_empty()
        && let Some(from) = &stanza.head().from
        && block_list::keeps_out(&list, &user, from)
    {
        // The user hears nothing of it, and stays in the room (XEP-0191 §3.3).
        return true;
    }
    // A session whose client does not read is closed, and leaves the room by its end.
    session.deliver_addressed(Arc::clone(stanza)).is_ok() || !session.is_ending()
}
