//! A client that binds a session by XEP-0386 reads what it has missed in the archive.

use crate::archive::page;
use crate::host::ServerState;
use crate::session::SessionRef;
use crate::storage::{self, MessageId};
use crate::xml::Node;

/// The metadata of the archive of a session that was just bound, and the undelivered markers of the
/// messages that its client finds there: these are not delivered to it again (XEP-0386 §3.2). `None` if the
/// user has no archive. Messages that are in no archive keep waiting.
pub async fn bound(server: &ServerState, session: &SessionRef) -> Option<(Node, Vec<MessageId>)> {
    if session.is_anonymous() || !server.config.load().archive.enabled {
        return None;
    }
    match read(server, session).await {
        Ok(bound) => Some(bound),
        Err(error) => {
            tracing::error!(jid = %session.jid(), %error, "cannot read the metadata of an archive");
            None
        }
    }
}

async fn read(
    server: &ServerState,
    session: &SessionRef,
) -> storage::Result<(Node, Vec<MessageId>)> {
    let user = session.jid().to_bare();
    let archive = server.storage.archive();
    let ends = archive.ends(&user).await?;
    let mut markers = Vec::new();
    if let Some((_, (last, _))) = ends {
        let mut after = None;
        loop {
            let waiting = archive.waiting(&user, after, AT_ONCE).await?;
            after = waiting.last().map(|waiting| waiting.id);
            let found = waiting.iter().filter(|waiting| waiting.archived && waiting.id <= last);
            markers.extend(found.map(|waiting| waiting.id));
            if waiting.len() < AT_ONCE {
                break;
            }
        }
    }
    Ok((page::metadata(ends, &server.message_ids), markers))
}

/// Messages that are read from the store at once.
const AT_ONCE: usize = 128;
