//! Undelivered markers: the store has one for each message until its client has it (docs/delivery.md).

use std::collections::VecDeque;

use crate::host::ServerState;
use crate::session::{Delivery, Session};
use crate::storage::MessageId;

/// The markers of messages that count as delivered when they are written: without stream management, a
/// client never says more.
pub(super) fn delivered_when_written(
    session: &Session,
    stanzas: &VecDeque<Delivery>,
) -> Vec<MessageId> {
    if session.sm(|sm| sm.is_managed()) {
        return Vec::new();
    }
    stanzas.iter().flat_map(Delivery::markers).collect()
}

/// Removes the markers of messages that the client has. If that fails, it gets them again, with the same
/// ids.
pub(super) async fn delivered(server: &ServerState, session: &Session, markers: &[MessageId]) {
    if markers.is_empty() {
        return;
    }
    let user = session.handle().jid().to_bare();
    if let Err(error) = server.storage.archive().delivered(&user, markers).await {
        tracing::warn!(%error, "cannot record a delivery: the messages will be delivered again");
    }
    session.mailbox().release(markers);
}
