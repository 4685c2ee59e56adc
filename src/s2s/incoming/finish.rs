//! The end of a stream that another server has opened.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::action::Action;
use super::serve::{Ended, Stream};
use crate::stream::exchange::Exchanged;
use crate::stream::input::StreamEvent;

impl Stream {
    /// The server ends: the peer gets what waits.
    pub(super) async fn finish(&mut self) {
        if let Some((link, on_its_way)) = self.sending.as_mut().filter(|_| self.machine.is_ready())
        {
            let (server, takes) = (self.servers.server(), self.machine.takes());
            on_its_way.finish(server, link, &mut self.connection, takes).await;
        }
    }

    /// We end the stream. What the peer says until it ends its own is carried (RFC 6120 §4.4).
    async fn hear_out(&mut self) {
        self.connection.end_ours();
        let until = Instant::now() + LAST_WORDS;
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
                let Action::Stanza(domain, frame) = action else { return };
                let lang = self.connection.input.lang();
                let read = self.lanes.read(domain, frame, lang);
                if !matches!(timeout_at(until, read).await, Ok(Ok(()))) {
                    return;
                }
            }
        }
    }

    /// Ends the stream, for this reason if there is one.
    pub(super) async fn end(mut self, ended: Ended) {
        let mut is_cut = false;
        if let Some((link, on_its_way)) = self.sending.take() {
            let unsent = on_its_way.settle(&mut self.connection).await;
            is_cut = !unsent.is_empty();
            link.put_back(unsent);
            self.servers.abandon(&link);
        }
        if self.machine.is_leaving() && ended.is_none() && !is_cut {
            self.hear_out().await;
        }
        let Self { servers, connection, machine, lanes, .. } = self;
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
        lanes.finish().await;
        let domain = machine.claimed().map_or_else(String::new, |pair| pair.local.to_string());
        // What it has not taken goes another way: it must not be written any more.
        if !is_cut {
            connection.close(ended, &domain).await;
        }
    }
}

/// For what a peer says after we have ended our stream.
const LAST_WORDS: Duration = Duration::from_secs(2);
