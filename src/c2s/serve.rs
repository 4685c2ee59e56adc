//! One client, from the first byte of its stream to the end of the connection. One task a client.

use std::sync::Arc;

use tracing::Instrument;

use super::client::{C2s, Client};
use super::connection_end::ConnectionEnd;
use super::hibernate::lost;
use super::negotiate::{Bound, negotiate};
use super::run::{Start, run};
use super::session_end::end;
use super::session_persistence::save;
use crate::host::ServerState;
use crate::listen::Counted;
use crate::router::Router;
use crate::session::{CloseReason, Session};
use crate::stanza::StreamCondition;

/// Serves one client: negotiates, and hands the connection to a task of its own when there is a session.
/// Most connections wait in that task, which must be small: a future has room for all that it will ever
/// await.
pub async fn serve(c2s: Arc<C2s>, client: Client) {
    let Client { channel, peer, start, counted } = client;
    let span = tracing::debug_span!("stream", %peer, jid = tracing::field::Empty);
    let negotiating = negotiate(&c2s, channel, peer, start).instrument(span.clone());
    let Some(Bound { session, start }) = negotiating.await else { return };
    span.record("jid", tracing::field::display(session.handle().jid()));
    let task = live(Arc::clone(&c2s.router), start, session, counted);
    drop(c2s.router.server.tasks.spawn("session", task.instrument(span)));
}

/// The life of a session on a connection.
async fn live(router: Arc<Router>, mut start: Box<Start>, session: Session, counted: Counted) {
    let server = &router.server;
    if server.tasks.stopping().is_cancelled() && !session.mailbox().has_order() {
        // It came too late for the order that the others got.
        session.handle().close(CloseReason::Shutdown);
    }
    // If this panics, the session is dropped, and ends (`end_dropped_sessions`).
    let ended = Box::pin(run(&router, &mut start, &session)).await;
    drop((start, counted));
    note_end_without_error(server, &ended);
    let why = match ended {
        ConnectionEnd::Closed => {
            Box::pin(router.session_closes(session.handle())).await;
            "closed by the client"
        }
        ConnectionEnd::Failed(error) => error.condition.as_str(),
        ConnectionEnd::Lost(why) => return lost(&router, session, why),
        ConnectionEnd::Stopped => return Box::pin(save(&router, session, None)).await,
        ConnectionEnd::Detached(saving) => {
            // It is saved by the task in which it waits.
            session.handle().detach(saving);
            return lost(&router, session, "the server ends");
        }
        ConnectionEnd::HandedOver(to) => match session.hand_over(to) {
            Ok(()) => return,
            Err(session) => return lost(&router, session, "resumed in vain"),
        },
    };
    Box::pin(end(&router, session, why)).await;
}

/// Counts a stream that ends without an error of ours.
fn note_end_without_error(server: &ServerState, ended: &ConnectionEnd) {
    let how = match ended {
        ConnectionEnd::Closed => "closed",
        ConnectionEnd::Lost(_) => "lost",
        // The old connection is told of a conflict.
        ConnectionEnd::HandedOver(_) => StreamCondition::Conflict.as_str(),
        // Nothing is said when the server ends; errors are counted when they are told.
        ConnectionEnd::Detached(_) | ConnectionEnd::Failed(_) | ConnectionEnd::Stopped => return,
    };
    server.metrics.streams_closed.inc([how]);
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::mem::size_of_val;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::*;
    use crate::c2s::fixtures::{router, session};
    use crate::stream::channel::Channel;
    use crate::stream::connection::Connection;
    use crate::stream::wire::Wire;
    use crate::xml::Limits;

    /// A connection that panics when it is read.
    struct Faulty;

    impl AsyncRead for Faulty {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            std::panic::resume_unwind(Box::new("as a fault in our code would"))
        }
    }

    impl AsyncWrite for Faulty {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn start(io: impl crate::stream::wire::Io + 'static, session: &Session) -> Box<Start> {
        let channel = Channel::Tcp(Wire::Plain(Box::new(io)));
        let peer = session.handle().facts().peer;
        let limits = Limits { bytes: 1, depth: 1, attributes: 1, nodes: 1 };
        let connection = Connection::new(channel, peer, limits, Duration::ZERO).negotiated();
        Box::new(Start { connection, delivered: Vec::new(), in_archive: None })
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_whose_connection_panics_is_dropped_and_its_end_is_not_forgotten() {
        let router = Arc::new(router());
        let server = &router.server;
        let session = session(server);
        let (handle, start) = (session.handle().clone(), start(Faulty, &session));
        let counted = Counted::new(&server.metrics, None);
        let task = live(Arc::clone(&router), start, session, counted);
        assert!(server.tasks.spawn("session", task).await.unwrap_err().is_panic());
        assert_eq!(server.sessions.dropped().await.handle, handle);
    }

    /// An idle connection is this task, its buffers, and its session. What is awaited rarely must be
    /// boxed: the task has room for all that it may await.
    #[tokio::test]
    async fn the_task_of_an_idle_connection_is_small() {
        let router = Arc::new(router());
        let session = session(&router.server);
        let (_theirs, ours) = tokio::io::duplex(1);
        let mut start = start(ours, &session);
        let sizes = [
            ("Start", size_of_val(&*start), 400),
            ("run", size_of_val(&run(&router, &mut start, &session)), 1_850),
        ];
        let counted = Counted::new(&router.server.metrics, None);
        let live = size_of_val(&live(Arc::clone(&router), start, session, counted));
        for (what, size, most) in sizes.into_iter().chain([("live", live, 700)]) {
            assert!(size <= most, "{what}: {size} bytes, at most {most}");
        }
    }
}
