//! A task waits for its own client.

use crate::host::ServerState;
use crate::session::Session;

/// Waits until there is room in the mailbox of the session whose task this is. One stanza may bring
/// it many, as the first presence does: a client that reads them must not be closed for it.
pub(super) async fn wait_for_capacity(server: &ServerState, own: &Session) {
    own.mailbox().wait_for_capacity(server.config.load().limits.inbox_stanzas / 2).await;
}
