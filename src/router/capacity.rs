//! A task waits for its own client.

use crate::host::ServerState;
use crate::session::Session;

/// Waits until there is room in the mailbox of the session whose task this is. One stanza, such as the first
/// presence, may lead to many stanzas for its sender. They must not close a client that reads them.
pub(super) async fn wait_for_capacity(server: &ServerState, own: &Session) {
    own.mailbox().wait_for_capacity(server.config.load().limits.inbox_stanzas / 2).await;
}
