//! A client with a session: one task, and loops side by side in it. One reads, one writes, one waits
//! until the disk has what the client sent, one reads what waited for the client.
//!
//! Only three awaits may be dropped half-way: reading, writing, waiting for the mailbox. What a
//! stanza sets going is never dropped: half of it would be a message that is kept and never delivered.

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

/// What the negotiation leaves to the session.
pub(super) struct Start {
    pub(super) connection: Negotiated,
    /// Markers of messages that the client has, as it said when it resumed.
    pub(super) delivered: Vec<MessageId>,
}

/// Serves a session on a connection, until one of them ends.
pub(super) async fn run(
    router: &Arc<Router>,
    start: &mut Start,
    session: &Session,
) -> ConnectionEnd {
    let server = &router.server;
    let Start { connection, delivered: markers } = start;
    let Negotiated { channel, input, out } = connection;
    let Some(channel) = channel.take() else { return ConnectionEnd::Lost("connection lost") };
    let config = server.config.load_full();
    let limits = &config.limits;
    let framing = channel.framing();
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
        let said = Box::pin(write_all(&channel, &first, limits.write)).await;
        drop(first);
        let ended = match said {
            Ok(()) => write(&loops).await,
            Err(_) => Some(ConnectionEnd::Lost("cannot write")),
        };
        // A reading loop that waits for room in the mailbox must not wait for ever.
        mailbox.set_writer(false);
        stop.stop(matches!(ended, Some(ConnectionEnd::Lost(_))));
        ended
    };
    let settling = pending.settle(server, session);
    // They are polled in this order. What the disk has is settled before an answer is written: the answer
    // acknowledges more then.
    let all = join3(reading, settling, writing);
    let (read, (), written) = tokio::select! {
        biased;
        done = all => done,
        never = router::catch_up(server, session) => match never {},
    };
    // An order to the session goes before what the reading loop saw at the same time.
    let ended = written.or(read).unwrap_or(ConnectionEnd::Lost("connection lost"));
    let channel = channel.into_inner();
    // The client hears of this count now, or on the next connection of the session.
    Box::pin(keep_count(server, session)).await;
    Box::pin(last_words(server, channel, session, &ended)).await;
    ended
}
