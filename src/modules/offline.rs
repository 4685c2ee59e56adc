//! XEP-0160: messages for offline users. They are stored with an undelivered marker (docs/delivery.md). This
//! file delivers them: a session catches up.

mod reading;
mod redelivery;

use std::time::Duration;

use tokio::time::timeout;

pub use reading::ReadAhead;

use self::reading::Reading;
use crate::host::{AddressKind, Manifest, Module, Registry, ServerState, Status, Xep};
use crate::jid::BareJid;
use crate::session::Session;
use crate::storage;

const NS: &str = "msgoffline";

/// Delivers stored messages.
pub struct Offline;

impl Module for Offline {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "offline",
            summary: "Keeps messages for those who are away",
            xeps: &[
                Xep { number: 160, version: "1.0.1", status: Status::Complete },
                Xep { number: 203, version: "2.0", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.disco_feature(AddressKind::Host, NS);
    }
}

/// Delivers the undelivered messages of a session's account, oldest first, as fast as the client reads. New
/// messages are deferred and come in their turn, so that none overtakes another. When nothing is left, the
/// session is live. A session with a negative priority gets only messages to its own full address, and none
/// from before it was bound (XEP-0160 §2).
///
/// Another session of the account may have removed the marker of a deferred message. Then this session finds
/// the message in the archive.
///
/// It may be dropped at any time. If the connection is lost, the session continues when it is resumed.
///
/// # Errors
/// If the store fails. Nothing is lost: the messages stay in the store.
pub async fn catch_up(
    server: &ServerState,
    session: &Session,
    ahead: ReadAhead,
) -> storage::Result<()> {
    if session.handle().available().is_none() && is_behind(server, session).await? {
        // A client that was just bound will soon send its first presence, or not.
        drop(timeout(APPEARING, session.mailbox().wait_until_available()).await);
    }
    // Mostly there is nothing, so look once. New messages are buffered in the meantime.
    let mut reading = Reading::begin(server, session, ahead);
    session.mailbox().buffer_new();
    server.storage.archive().advance_horizon().await?;
    if reading.page().await?.is_empty() && session.mailbox().end_catch_up() {
        return Ok(());
    }
    loop {
        reading = Reading::begin(server, session, ahead);
        if !reading.read(None).await? {
            return Ok(());
        }
        // The rest are messages that were deferred until now. Their ids are not newer than this.
        session.mailbox().buffer_new();
        if !reading.read(server.storage.archive().advance_horizon().await?).await?
            || session.mailbox().end_catch_up()
        {
            return Ok(());
        }
    }
}

/// Checks whether there are undelivered messages for a session that was just bound. If there are none,
/// messages to its full address can go to it at once.
pub async fn look(server: &ServerState, session: &Session) {
    match is_behind(server, session).await {
        Ok(false) => session.mailbox().go_live_if_undecided(),
        Ok(true) => {}
        Err(error) => {
            tracing::error!(jid = %session.handle().jid(), %error, "cannot look up undelivered messages")
        }
    }
}

/// Whether there is an undelivered message from before others saw the session, or one that was skipped since.
async fn is_behind(server: &ServerState, session: &Session) -> storage::Result<bool> {
    let user = session.handle().jid().to_bare();
    let oldest = server.storage.archive().waiting(&user, None, 1).await?;
    let newest = session.handle().facts().newest_seen.max(session.mailbox().newest_skipped());
    Ok(oldest.first().is_some_and(|waiting| Some(waiting.id) <= newest))
}

/// Called when a session has ended before its client received all messages. The user's other sessions catch up, if they
/// have not received them, either (RFC 6121 §8.5.2). If there is no other session, the messages stay stored.
pub fn pass_on(server: &ServerState, user: &BareJid) {
    for other in server.sessions.of(user).iter().filter(|other| other.priority() >= Some(0)) {
        other.request_catch_up();
    }
}

/// The usual time from the binding of a session to its first presence.
const APPEARING: Duration = Duration::from_secs(1);
