//! Beginning stream management (XEP-0198 §3): with `<enable/>` from a client that has a session, or when
//! the session is bound (XEP-0198 §9.1).

use std::time::Duration;

use crate::host::ServerState;
use crate::ns;
use crate::random::random_id;
use crate::session::{Resumption, SessionRef};
use crate::storage::SessionNumber;
use crate::xml::{ElementRef, Node, element};

/// How a session can be resumed, as its client wishes in `<enable/>`; `None` if it cannot. A session that
/// can be resumed outlives the server, too. The session of an anonymous user cannot be resumed: nobody can
/// log in as that user again.
pub(super) async fn resumption(
    server: &ServerState,
    handle: &SessionRef,
    enable: &ElementRef<'_>,
) -> Option<Resumption> {
    let most = server.config.load().limits.resume;
    let wished = enable.attr("max").and_then(|max| max.parse().ok());
    let max = wished.map_or(most, |seconds| most.min(Duration::from_secs(seconds)));
    let wants = enable.attr("resume").is_some_and(|r| matches!(&*r, "true" | "1"));
    // `max` is told in whole seconds, and is at least one.
    if !wants || max.as_secs() == 0 || handle.is_anonymous() {
        return None;
    }
    let id = random_id();
    let number = begin(server, handle, &id).await;
    Some(Resumption { id, max, number })
}

/// Records in the store that a session can be resumed. Does not wait until that is durable: all that the
/// store gets of the session later is written after it.
async fn begin(server: &ServerState, handle: &SessionRef, id: &str) -> Option<SessionNumber> {
    let user = handle.jid().to_bare();
    let resource = handle.jid().resource_part();
    match server.storage.resumption().begin(&user, resource, id).await {
        Ok((number, receipt)) => {
            drop(receipt);
            Some(number)
        }
        Err(error) => {
            tracing::error!(%error, "cannot register a session for resumption: it ends with the server");
            None
        }
    }
}

/// `<enabled/>`.
pub(super) fn enabled(server: &ServerState, resumption: Option<Resumption>) -> Node {
    let node = element("enabled").ns(ns::SM);
    let Some(resumption) = resumption else { return node };
    let location = server.config.load().listen.location.clone();
    node.attr("id", resumption.id)
        .attr("resume", "true")
        .attr("max", resumption.max.as_secs().to_string())
        .maybe_attr("location", location)
}
