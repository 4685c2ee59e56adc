//! Stream management on a stream of ours (XEP-0198): what was handled, of either side.

use std::sync::Arc;

use super::Stream;
use crate::s2s::counters::Counted;
use crate::s2s::incoming::Lanes;
use crate::s2s::managed::{self, Step};
use crate::stanza::StreamError;

impl Stream<'_> {
    /// Answers how many stanzas we have handled, if an answer is due.
    pub(super) fn answer(&mut self) {
        let handled = self.lanes.as_ref().map_or(0, |lanes| lanes.handled.count());
        if let Some(handled) = self.owed.answer(handled) {
            self.flow.answer(&mut self.connection, &managed::handled(handled));
        }
    }

    /// Does what stream management asks for.
    pub(super) fn manage(&mut self, step: &Step) -> Result<(), StreamError> {
        match step {
            Step::Begin => self.begin_counting(0),
            // Those of the other side.
            Step::Enable(_) | Step::Resume(_) => {}
            Step::Refused => self.on_its_way.stop_counting(),
            Step::Asked => {
                let entered = self.lanes.as_ref().map_or(0, |lanes| lanes.handled.entered());
                self.owed.ask(entered);
            }
            Step::Handled(h) => {
                self.sent_any |= self.on_its_way.acknowledged(*h, &self.connection)?;
            }
        }
        Ok(())
    }

    /// Both sides count what follows; `heard` stanzas have come before, on the stream whose place this one takes. If the other
    /// server sends its stanzas on this stream, it asks for our count after a cut.
    pub(super) fn begin_counting(&mut self, heard: u32) {
        let handled = Arc::clone(&self.lanes().handled);
        handled.go_on_from(heard);
        let id = self.machine.own_id().filter(|_| self.machine.is_bidirectional());
        self.counting = id.and_then(|id| {
            let of = Counted::Link(Arc::clone(self.link));
            self.servers.counters.enter_as(id, &self.link.pair.remote, of, &handled)
        });
    }

    pub(super) fn lanes(&mut self) -> &Lanes {
        let servers = self.servers;
        self.lanes.get_or_insert_with(|| Box::new(Lanes::new(Arc::clone(&servers.router))))
    }
}
