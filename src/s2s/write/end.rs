//! How a stream of ours ends: what is still written and heard, and what waits again.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Ended, Stream};
use crate::s2s::bounce::bounce;
use crate::s2s::failure::DOUBTFUL;
use crate::s2s::managed;
use crate::stanza::StreamError;
use crate::stream::exchange::Exchanged;

impl Stream<'_> {
    /// Ends the stream.
    pub(super) async fn end(mut self, ended: Ended, error: Option<StreamError>) -> Ended {
        let link = self.link;
        self.sent_any |= self.on_its_way.written(&self.connection);
        if ended != Ended::Lost {
            self.sent_any |= self.on_its_way.settle(&mut self.connection).await;
        }
        let is_cut = ended == Ended::Lost || self.on_its_way.is_cut(&self.connection);
        let is_acknowledged = self.on_its_way.is_acknowledged();
        link.set_opened(None);
        let is_heard = is_acknowledged || self.machine.is_bidirectional();
        if matches!(ended, Ended::Asked | Ended::Idle) && is_heard && !is_cut {
            self.hear_out().await;
        }
        let heard = self.lanes.as_ref().map_or(0, |lanes| lanes.handled.entered());
        let id = self.machine.own_id();
        let previous = id.and_then(|id| self.on_its_way.previous(id, heard, &self.connection));
        // Without the id of the stream, it cannot be asked later how much it has handled. One that acknowledges has told all when
        // it ends its stream; what it has not told, nobody knows.
        let is_doubtful = ended == Ended::Lost || self.machine.is_managed();
        let doubtful = match is_doubtful && id.is_none() {
            true => self.on_its_way.take_doubtful(self.servers.server(), &self.connection),
            false => Vec::new(),
        };
        link.put_back(self.on_its_way.rest());
        link.set_previous(previous);
        Box::pin(bounce(self.servers.server(), doubtful, DOUBTFUL)).await;
        if let Some(lanes) = &self.lanes {
            lanes.finish().await;
        }
        // What it has not taken is sent again: it must not be written any more.
        if !is_cut {
            self.acknowledge_last();
            self.connection.close(error, &link.pair.local).await;
        }
        drop(self.counting.take());
        let failed_again = link.note_progress(self.sent_any || link.waiting() == 0);
        match ended {
            // Nothing waits: it is no fault to close an unused stream. One that is cut before an acknowledgement comes
            // is no fault, either, if it does not happen again.
            Ended::Closed | Ended::Lost
                if !self.sent_any && link.waiting() > 0 && (!is_acknowledged || failed_again) =>
            {
                Ended::Useless
            }
            ended => ended,
        }
    }

    /// The last word before our stream ends: how many stanzas we have handled (XEP-0198 §4).
    fn acknowledge_last(&mut self) {
        let lanes = self.lanes.as_ref().filter(|_| self.machine.is_managed());
        if let Some(lanes) = lanes
            && !self.connection.has_ended_ours()
        {
            self.connection.send(&managed::handled(lanes.handled.count()));
        }
    }

    /// We end the stream. What the other server says until it ends its own is carried (RFC 6120 §4.4).
    async fn hear_out(&mut self) {
        let until = Instant::now() + LAST_WORDS;
        if let Some(lanes) = self.lanes.as_ref().filter(|_| self.machine.is_managed()) {
            drop(timeout_at(until, lanes.finish()).await);
        }
        self.acknowledge_last();
        self.connection.end_ours();
        self.machine.leave();
        let to_the_end = async {
            while self.hear().await.is_ok() {
                if self.connection.exchange().await == Exchanged::Lost {
                    return;
                }
            }
        };
        drop(timeout_at(until, to_the_end).await);
    }
}

/// How long we read what the other server says after we have ended our stream.
const LAST_WORDS: Duration = Duration::from_secs(2);
