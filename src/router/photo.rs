//! The photo of a user has changed: the presence of the user's sessions is sent again, with the new hash (XEP-0153
//! §4.3, XEP-0398 §4). Presence to single addresses, as to rooms, is sent again by clients (XEP-0398 §5).

use std::sync::Arc;

use super::contacts::Contacts;
use super::send_presence::broadcast;
use crate::host::Cx;
use crate::jid::BareJid;
use crate::modules::vcard;
use crate::stanza::Presence;

/// Sends the presence of all available sessions of a user again, if the hash in it is another one.
pub(super) async fn show(cx: &mut Cx<'_>, user: &BareJid) {
    let Ok(contacts) = Contacts::of(cx, user).await else {
        tracing::warn!(jid = %user, "cannot tell the contacts of a new photo");
        return;
    };
    for session in cx.server.sessions.available(user) {
        for _ in 0..ATTEMPTS {
            let Some(old) = session.available() else { break };
            let Some(new) = vcard::with_new_photo(cx, &session, &old).await else { break };
            let kept = Arc::new(Presence { content: new.content.packed(), ..new.clone() });
            // The client may have sent another one in the meantime.
            if session.replace_available(&old, kept) {
                broadcast(cx, &session, &contacts, &new);
                break;
            }
        }
    }
}

/// So often it is tried to replace a presence, while its client sends new ones.
const ATTEMPTS: u32 = 3;
