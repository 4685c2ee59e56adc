//! The server was restarted: sessions that were saved are still in their rooms. Until all sessions were saved, others
//! wrote. The room gives each session what it has missed, from the archive.

use std::sync::Arc;

use super::load;
use crate::host::Cx;
use crate::jid::Jid;
use crate::muc::Room;
use crate::session::{Restored, SessionRef};
use crate::stanza::{Stanza, StanzaError};
use crate::storage::{MessageId, Query};

/// Gives what they have missed to the sessions that were restored. Called once, when the room was just read.
pub(super) async fn give(cx: &Cx<'_>, room: &mut Room) -> Result<(), StanzaError> {
    let restored = room.sessions().iter().filter_map(|session| restored(cx, session)).collect();
    let restored: Vec<(SessionRef, Arc<Restored>)> = restored;
    let Some(first) = restored.iter().map(|(_, restored)| restored.from).min() else {
        return Ok(());
    };
    let mut query =
        Query { above: MessageId::new(first.get() - 1), max: AT_ONCE, ..Query::default() };
    let mut left = MOST;
    while left > 0 {
        let page = cx.server.storage.archive().page(room.jid(), &query).await?.unwrap_or_default();
        for row in &page.rows {
            left = left.saturating_sub(1);
            let id = cx.server.message_ids.write(row.id).to_string();
            let Some(message) = load::shown(room.jid(), row, &id) else { continue };
            let stanza = Arc::new(Stanza::Message(message));
            for (session, restored) in &restored {
                if row.id >= restored.from && !restored.queued.contains(id.as_str()) {
                    session.deliver_addressed(Arc::clone(&stanza)).ok();
                }
            }
        }
        query.after = page.rows.last().map(|row| row.id);
        if page.complete || page.rows.is_empty() {
            break;
        }
    }
    Ok(())
}

fn restored(cx: &Cx<'_>, session: &Jid) -> Option<(SessionRef, Arc<Restored>)> {
    let session = cx.server.sessions.find(&session.to_full()?)?;
    let restored = session.facts().restored?;
    Some((session, restored))
}

/// Messages that are read at once.
const AT_ONCE: usize = 100;
/// Messages that a session is given, at most. A client that has missed more reads the archive.
const MOST: usize = 1000;
