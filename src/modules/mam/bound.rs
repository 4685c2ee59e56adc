//! A client that binds a session by XEP-0386 reads what it has missed in the archive.

use crate::archive::page;
use crate::host::ServerState;
use crate::session::SessionRef;
use crate::storage::{self, MessageId};
use crate::xml::Node;

/// The metadata of the archive of a session that was just bound (XEP-0386 §3.2), and its newest message.
/// `None` if the user has no archive.
pub async fn bound(
    server: &ServerState,
    session: &SessionRef,
) -> Option<(Node, Option<MessageId>)> {
    if session.is_anonymous() || !server.config.load().archive.enabled {
        return None;
    }
    let user = session.jid().to_bare();
    match server.storage.archive().ends(&user).await {
        Ok(ends) => {
            let metadata = page::metadata(ends, &server.message_ids);
            Some((metadata, ends.map(|(_, (newest, _))| newest)))
        }
        Err(error) => {
            tracing::error!(jid = %session.jid(), %error, "cannot read the metadata of an archive");
            None
        }
    }
}

/// Removes the undelivered markers of the messages that the client of this session finds in its archive, up to
/// this one (XEP-0386 §3.2). Messages that are in no archive keep waiting. To be called before the session
/// catches up. If that fails, the client gets the messages once more, with the same ids. Returns whether
/// nothing else waited.
pub async fn dismiss(server: &ServerState, session: &SessionRef, newest: MessageId) -> bool {
    dismiss_all(server, session, newest).await.unwrap_or_else(|error| {
        tracing::warn!(jid = %session.jid(), %error, "messages of the archive will be delivered again");
        false
    })
}

async fn dismiss_all(
    server: &ServerState,
    session: &SessionRef,
    newest: MessageId,
) -> storage::Result<bool> {
    let (user, archive) = (session.jid().to_bare(), server.storage.archive());
    let (mut after, mut is_all) = (None, true);
    loop {
        let waiting = archive.waiting(&user, after, AT_ONCE).await?;
        after = waiting.last().map(|waiting| waiting.id);
        let found = waiting.iter().filter(|waiting| waiting.archived && waiting.id <= newest);
        let found: Vec<_> = found.map(|waiting| waiting.id).collect();
        is_all &= found.len() == waiting.len();
        if !found.is_empty() {
            archive.delivered(&user, &found).await?;
        }
        if waiting.len() < AT_ONCE {
            return Ok(is_all);
        }
        if after > Some(newest) {
            return Ok(false);
        }
    }
}

/// Messages that are read from the store at once.
const AT_ONCE: usize = 128;
