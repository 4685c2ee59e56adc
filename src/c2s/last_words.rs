//! The last words on a connection, by how it ends.

use std::collections::VecDeque;
use std::sync::Arc;

use super::connection_end::ConnectionEnd;
use super::markers::{delivered, delivered_when_written};
use super::write::bytes_of;
use crate::host::ServerState;
use crate::metrics::Metrics;
use crate::session::{Session, SmState};
use crate::stanza::{StreamCondition, StreamError};
use crate::stream::channel::Channel;
use crate::stream::connection::{end_tls, farewell};
use crate::stream::framing::Framing;

/// Says what there is to say, if the client is there.
pub(super) async fn last_words(
    server: &Arc<ServerState>,
    channel: Channel,
    session: &Session,
    ended: &ConnectionEnd,
) {
    let framing = channel.framing();
    match ended {
        // What was answered before the client closed still goes to the client (RFC 6120 §4.4).
        ConnectionEnd::Closed => say_all(server, channel, session, None).await,
        // What has come before the server ends goes to the client: rooms tell it that it has left them.
        ConnectionEnd::Failed(error) if error.condition == StreamCondition::SystemShutdown => {
            note_stream_error(&server.metrics, error);
            say_all(server, channel, session, Some(error)).await;
        }
        ConnectionEnd::Failed(error) => {
            note_stream_error(&server.metrics, error);
            let last = last_count(server, session, framing);
            drop(farewell(channel, last, Some(error)).await);
        }
        // XEP-0198 §5: the old stream, if it is still there, ends with a conflict. The session
        // does not wait for that.
        ConnectionEnd::HandedOver(_) => {
            let error = StreamCondition::Conflict.text("resumed on another connection");
            let bye = async move { drop(farewell(channel, Vec::new(), Some(&error)).await) };
            drop(server.tasks.spawn("farewell", bye));
        }
        // To a client that can resume, the end of the server is a lost connection: nothing is said, and
        // the client comes back. After a lost connection the client may be there, too, and only slow.
        ConnectionEnd::Detached(_) | ConnectionEnd::Stopped | ConnectionEnd::Lost(_) => {
            end_tls(channel).await
        }
    }
}

/// Writes all that is left in the mailbox, and the end of the stream.
async fn say_all(
    server: &Arc<ServerState>,
    channel: Channel,
    session: &Session,
    error: Option<&StreamError>,
) {
    let framing = channel.framing();
    let (left, _) = session.mailbox().take();
    let markers = delivered_when_written(session, &left);
    let again = (!session.sm(|sm| sm.is_managed())).then(|| left.clone());
    session.sm(|sm| sm.has_unacked() && sm.schedule_ack());
    let last = bytes_of(server, session, framing, left, true);
    match (farewell(channel, last, error).await, again) {
        (Ok(()), _) => delivered(server, session, &markers).await,
        (Err(_), Some(left)) => session.mailbox().put_back(left),
        (Err(_), None) => {}
    }
}

/// The bytes that say how many stanzas were handled, for a client that is cut off: without them it sends
/// the stanzas a second time. Not if an error for one of them is still to be written: a client must not
/// take it for handled.
fn last_count(server: &ServerState, session: &Session, framing: Framing) -> Vec<u8> {
    let (left, _) = session.mailbox().take();
    let knows = !left.iter().any(|delivery| delivery.stanza.is_error());
    session.mailbox().put_back(left);
    let is_due = |sm: &mut SmState| sm.owes_answer() || sm.has_unacked() && sm.schedule_ack();
    if knows && session.sm(is_due) {
        bytes_of(server, session, framing, VecDeque::new(), true)
    } else {
        Vec::new()
    }
}

/// Counts and logs a stream that ends with an error of ours.
pub(super) fn note_stream_error(metrics: &Metrics, error: &StreamError) {
    let condition = error.condition.as_str();
    metrics.streams_closed.inc([condition]);
    tracing::debug!(condition, text = error.text.as_deref(), "stream closed with an error");
}
