//! The end of a stream that another server has opened.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::action::{Action, Actions};
use super::serve::{Ended, Stream};
use crate::s2s::bounce::bounce;
use crate::s2s::failure::DOUBTFUL;
use crate::stanza::StreamCondition;
use crate::stream::exchange::Exchanged;
use crate::stream::input::StreamEvent;

impl Stream {
    /// The server ends. Whether the peer has got everything that waited, or the time for that is over.
    pub(super) fn is_finished(&self) -> bool {
        let is_quiet = || match self.sending.as_ref().filter(|_| self.machine.is_ready()) {
            Some((link, on_its_way)) => {
                self.connection.is_written() && on_its_way.is_empty() && link.waiting() == 0
            }
            None => true,
        };
        self.ends_at.is_some_and(|at| at <= Instant::now() || is_quiet())
    }

    /// We end the stream. What the peer says until it ends its own is carried (RFC 6120 §4.4).
    async fn hear_out(&mut self) {
        let until = Instant::now() + LAST_WORDS;
        if self.machine.is_managed() {
            drop(timeout_at(until, self.lanes.finish()).await);
        }
        self.acknowledge_last();
        self.connection.end_ours();
        loop {
            let actions = match self.connection.input.next_event() {
                Ok(Some(StreamEvent::Element(frame))) => self.machine.element(frame),
                Ok(Some(StreamEvent::Header(_) | StreamEvent::End)) | Err(_) => return,
                Ok(None) => match timeout_at(until, self.connection.exchange()).await {
                    Ok(Exchanged::Read(_) | Exchanged::Written) => continue,
                    Ok(Exchanged::Lost) | Err(_) => return,
                },
            };
            for action in actions {
                let is_done = match action {
                    Action::Stanza(domain, frame) => {
                        let lang = self.connection.input.lang();
                        let read = self.lanes.read(domain, frame, lang);
                        matches!(timeout_at(until, read).await, Ok(Ok(())))
                    }
                    Action::Manage(step) => self.manage(step).is_ok(),
                    _ => false,
                };
                if !is_done {
                    return;
                }
            }
        }
    }

    /// What the peer has not taken, or not acknowledged, goes another way; or back, if the peer may have it.
    async fn give_back(&mut self) {
        let Some((link, mut on_its_way)) = self.sending.take() else { return };
        let server = self.servers.server();
        // On the stream that takes its place, the peer is asked for what it has handled, by the id that it was told.
        let heard = self.lanes.handled.entered();
        let id = self.id.as_ref();
        let previous = id.and_then(|id| on_its_way.previous(id, heard, &self.connection));
        // Otherwise nobody can know, however the stream has ended.
        let doubtful = match &previous {
            None => on_its_way.take_doubtful(server, &self.connection),
            Some(_) => Vec::new(),
        };
        link.put_back(on_its_way.rest());
        link.set_previous(previous);
        self.servers.abandon(&link);
        Box::pin(bounce(server, doubtful, DOUBTFUL)).await;
    }

    /// Something was to happen until now: the stream ends, if it has not.
    pub(super) fn too_late(&mut self, due: Instant) -> Option<Actions> {
        let is_stuck =
            self.flow.is_stalled(&self.connection) || self.flow.is_broken(&self.connection);
        match due <= Instant::now() {
            true if self.machine.is_settled() && !is_stuck => Some(self.machine.leave()),
            is_late if is_late || is_stuck => {
                Some(self.machine.fail(StreamCondition::ConnectionTimeout.into()))
            }
            _ => None,
        }
    }

    /// Ends the stream, for this reason if there is one.
    pub(super) async fn end(mut self, ended: Ended) {
        let mut is_cut = false;
        let mut is_acknowledged = false;
        if let Some((_, on_its_way)) = &mut self.sending {
            on_its_way.settle(&mut self.connection).await;
            is_cut = on_its_way.is_cut(&self.connection);
            is_acknowledged = on_its_way.is_acknowledged();
        }
        // The peer may have a last word about it.
        if !is_acknowledged {
            self.give_back().await;
        }
        if self.machine.is_leaving() && ended.is_none() && !is_cut {
            self.hear_out().await;
        }
        self.give_back().await;
        self.lanes.finish().await;
        drop(self.counting.take());
        if !is_cut {
            self.acknowledge_last();
        }
        let Self { servers, connection, machine, .. } = self;
        let metrics = &servers.server().metrics;
        let claimed = machine.claimed();
        let (from, to) = (claimed.map(|pair| &*pair.remote), claimed.map(|pair| &*pair.local));
        if let Some(error) = &ended {
            let condition = error.condition.as_str();
            metrics.server_streams.inc(["in", condition]);
            let text = error.text.as_deref();
            tracing::info!(from, to, peer = %connection.peer, condition, text, "a stream of another server ends with an error");
        } else {
            tracing::debug!(from, to, peer = %connection.peer, "a stream of another server has ended");
        }
        let domain = machine.claimed().map_or_else(String::new, |pair| pair.local.to_string());
        // What it has not taken goes another way: it must not be written any more.
        if !is_cut {
            connection.close(ended, &domain).await;
        }
    }
}

/// For what a peer says after we have ended our stream.
const LAST_WORDS: Duration = Duration::from_secs(2);
