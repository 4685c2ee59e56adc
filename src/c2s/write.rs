//! The writing loop of a client with a session: stanzas, and what stream management adds (XEP-0198).

use std::collections::VecDeque;
use std::io;

use super::connection_end::ConnectionEnd;
use super::loops::Loops;
use super::markers::{delivered, delivered_when_written};
use super::negotiation::sm_failed;
use super::stream_management;
use crate::host::ServerState;
use crate::ns;
use crate::session::{Batch, Delivery, Session, Taken};
use crate::stanza::{Condition, StreamCondition};
use crate::stream::connection::write_all;
use crate::stream::framing::Framing;
use crate::xml::element;

/// Writes until the connection ends, each time all stanzas that are queued. `None` if another loop has stopped
/// this one.
pub(super) async fn write(loops: &Loops<'_>) -> Option<ConnectionEnd> {
    let Loops { session, limits, .. } = *loops;
    let mailbox = session.mailbox();
    // A resumed stream begins with what was not acknowledged on the previous one.
    if session.sm(|sm| sm.is_managed()) {
        mailbox.wake_writer();
    }
    loop {
        // When it is time to stop, `last_words.rs` writes what is left.
        tokio::select! {
            biased;
            () = loops.stop.stopped() => return None,
            () = mailbox.filled() => {}
        }
        let Taken { stanzas, order, waiting_since } = mailbox.take_to_write();
        match order {
            None => {}
            Some(order) => {
                mailbox.put_back(stanzas);
                return Some(ConnectionEnd::ordered(session, order));
            }
        }
        // Boxed: most of the time the loop waits.
        let written = write_next(loops, stanzas);
        if let Err(error) = Box::pin(written).await {
            tracing::debug!(%error, "cannot write");
            let (stanzas, order) = mailbox.take();
            mailbox.put_back(stanzas);
            return Some(order.map_or(ConnectionEnd::Lost("cannot write"), |order| {
                ConnectionEnd::ordered(session, order)
            }));
        }
        if let Some(since) = waiting_since {
            loops.server.metrics.delivered(since.elapsed());
        }
        let (most, size) = (limits.unacknowledged, limits.unacknowledged_bytes);
        if session.sm(|sm| sm.is_unresponsive(most, size)) {
            mailbox.note_overrun();
            let error = StreamCondition::PolicyViolation.text("the client acknowledges nothing");
            return Some(ConnectionEnd::Failed(error));
        }
    }
}

/// Writes these stanzas, and what stream management adds. If that fails without stream management, the stanzas
/// are put back.
async fn write_next(loops: &Loops<'_>, stanzas: VecDeque<Delivery>) -> io::Result<()> {
    let Loops { server, session, .. } = *loops;
    let again = (!session.sm(|sm| sm.is_managed())).then(|| stanzas.clone());
    let markers = delivered_when_written(session, &stanzas);
    let bytes = bytes_of(server, session, loops.framing, stanzas, false);
    loops.pending.answered();
    session.mailbox().set_writing(bytes.len());
    let written = tokio::select! {
        written = write_all(loops.channel, &bytes, loops.write_limit) => written,
        () = loops.stop.lost() => Err(io::ErrorKind::NotConnected.into()),
        // The client is on another connection already and waits there (XEP-0198 §5); or it is to be
        // closed and does not read.
        () = session.mailbox().interrupted() => Err(io::ErrorKind::Interrupted.into()),
    };
    session.mailbox().set_writing(0);
    match written {
        Ok(()) => {
            server.metrics.bytes_out.inc_by(bytes.len() as u64);
            delivered(server, session, &markers).await;
            Ok(())
        }
        Err(error) => {
            if let Some(stanzas) = again {
                session.mailbox().put_back(stanzas);
            }
            Err(error)
        }
    }
}

/// The bytes of these stanzas, with what stream management adds. The count of handled stanzas stands
/// behind the errors: a client learns of a stanza that failed before it learns that it was handled. If
/// `is_last`, the count stands at the end (XEP-0198 §4).
pub(super) fn bytes_of(
    server: &ServerState,
    session: &Session,
    framing: Framing,
    stanzas: VecDeque<Delivery>,
    is_last: bool,
) -> Vec<u8> {
    let (batch, stanzas) = session.sm(|sm| sm.next_batch(stanzas));
    let Batch { enabled, refused, acknowledge, request } = batch;
    let mut out = Vec::with_capacity(stanzas.iter().map(|d| d.stanza.size()).sum::<usize>() + 64);
    if let Some(resumption) = enabled {
        let node = stream_management::enabled(server, resumption);
        framing.element(&mut out, |out| node.write(out));
    }
    for _ in 0..refused {
        let failed = sm_failed(Condition::UnexpectedRequest, None);
        framing.element(&mut out, |out| failed.write(out));
    }
    let error = stanzas.iter().rposition(|delivery| delivery.stanza.is_error());
    let count_at = if is_last { stanzas.len() } else { error.map_or(0, |error| error + 1) };
    let count = acknowledge.map(|(h, times)| {
        let mut count = Vec::new();
        let node = element("a").ns(ns::SM).attr("h", h.to_string());
        framing.element(&mut count, |out| node.write(out));
        count.repeat(times as usize)
    });
    for (i, delivery) in stanzas.iter().enumerate() {
        if let Some(count) = count.as_ref().filter(|_| i == count_at) {
            out.extend_from_slice(count);
        }
        server.metrics.stanzas_out.of(delivery.stanza.name()).inc();
        framing.element(&mut out, |out| delivery.stanza.write(delivery.to.as_ref(), out));
    }
    if let Some(count) = count.filter(|_| count_at == stanzas.len()) {
        out.extend_from_slice(&count);
    }
    if request && !is_last {
        framing.element(&mut out, |out| element("r").ns(ns::SM).write(out));
    }
    out
}
