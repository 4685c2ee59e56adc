//! A session catches up: its client gets the messages that were stored for it.

use std::convert::Infallible;

use super::RETRY;
use crate::host::ServerState;
use crate::modules::mam;
use crate::modules::offline::{self, ReadAhead};
use crate::session::Session;
use crate::storage::MessageId;

/// A session catches up whenever that is requested: it reads the messages that the store has for its
/// account. `in_archive`: the newest message that its client reads in the archive. Never ends, and may be
/// dropped at any time.
pub async fn catch_up(
    server: &ServerState,
    session: &Session,
    in_archive: Option<MessageId>,
) -> Infallible {
    let ahead = ReadAhead::within(&server.config.load().limits);
    if let Some(newest) = in_archive
        && Box::pin(mam::dismiss(server, session.handle(), newest)).await
    {
        session.mailbox().go_live_if_undecided();
    }
    if session.mailbox().is_undecided() {
        Box::pin(offline::look(server, session)).await;
    }
    loop {
        session.mailbox().catch_up_requested().await;
        // Boxed: most of the time nothing waits.
        if let Err(error) = Box::pin(offline::catch_up(server, session, ahead)).await {
            // The store fails: messages stay in it, and new ones are deferred.
            tracing::error!(jid = %session.handle().jid(), %error, "cannot read undelivered messages");
            Box::pin(tokio::time::sleep(RETRY)).await;
        }
    }
}
