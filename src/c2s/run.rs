//! A client with a session: one task, and loops side by side in it. One reads, one writes, one waits until
//! what the client sent is on the disk, and one reads stored messages for the client.
//!
//! Only three awaits may be dropped half-way: reading, writing, waiting for the mailbox. A stanza is always
//! carried to its end. Otherwise a message could be stored and never delivered.

use std::sync::Arc;

use futures_util::future::join3;

use super::connection_end::ConnectionEnd;
use super::last_words::last_words;
use super::loop_shutdown::LoopShutdown;
use super::loops::Loops;
use super::markers::delivered;
use super::pending_acks::{PendingAcks, keep_count};
use super::read::read;
use super::write::write;
use crate::router::{self, Router};
use crate::session::Session;
use crate::storage::MessageId;
use crate::stream::channel::SharedChannel;
use crate::stream::connection::{Negotiated, write_all};

/// What a session gets from the negotiation.
pub(super) struct Start {
    pub(super) connection: Negotiated,
    /// Markers of messages that the client has, as it said when it resumed.
    pub(super) delivered: Vec<MessageId>,
    /// The newest message that the client finds in its archive, as it was told when it bound its session
    /// (XEP-0386).
    pub(super) in_archive: Option<MessageId>,
}

/// Serves a session on a connection, until one of them ends.
pub(super) async fn run(
    router: &Arc<Router>,
    start: &mut Start,
    session: &Session,
) -> ConnectionEnd {
    let server = &router.server;
    let Start { connection, delivered: markers, in_archive } = start;
    let Negotiated { channel, input, out } = connection;
    let Some(channel) = channel.take() else { return ConnectionEnd::Lost("connection lost") };
    let config = server.config.load_full();
    let limits = &config.limits;
    let framing = channel.framing();
    let write_limit = channel.write_limit(limits.write);
    let channel = SharedChannel::new(channel);
    let (stop, pending) = (LoopShutdown::default(), PendingAcks::default());
    let mailbox = session.mailbox();
    mailbox.set_writer(true);
    let loops = Loops {
        router,
        server,
        session,
        limits,
        channel: &channel,
        framing,
        write_limit,
        pending: &pending,
        stop: &stop,
    };
    let reading = async {
        Box::pin(delivered(server, session, &std::mem::take(markers))).await;
        let ended = read(&loops, input).await;
        pending.close();
        stop.stop(matches!(ended, Some(ConnectionEnd::Lost(_))));
        ended
    };
    let writing = async {
        let first = std::mem::take(out);
        let said = Box::pin(write_all(&channel, &first, write_limit)).await;
        drop(first);
        let ended = match said {
            Ok(()) => write(&loops).await,
            Err(_) => Some(ConnectionEnd::Lost("cannot write")),
        };
        // Now the mailbox is no longer emptied: the reading loop must not wait for room in it.
        mailbox.set_writer(false);
        stop.stop(matches!(ended, Some(ConnectionEnd::Lost(_))));
        ended
    };
    let settling = pending.settle(server, session);
    // The loops are polled in this order. Stanzas that are on the disk are counted before an `<a/>` is
    // written, so that it acknowledges more.
    let all = join3(reading, settling, writing);
    let (read, (), written) = tokio::select! {
        biased;
        done = all => done,
        never = router::catch_up(server, session, in_archive.take()) => match never {},
    };
    // If both loops have ended, an order to the session counts, and not what the reading loop saw.
    let ended = written.or(read).unwrap_or(ConnectionEnd::Lost("connection lost"));
    let channel = channel.into_inner();
    // The client is sent this count now, or on the next connection of the session.
    Box::pin(keep_count(server, session)).await;
    Box::pin(last_words(server, channel, session, &ended)).await;
    ended
}
