//! Stream management on a stream that another server has opened (XEP-0198): after the login, or after dialback.

use smallvec::smallvec;

use super::action::{Action, Actions};
use super::machine::Incoming;
use super::serve::Stream;
use crate::s2s::managed::{self, Step, Word};
use crate::stanza::{Condition, Detail, StreamCondition, StreamError};
use crate::xml::ElementRef;

impl Incoming {
    /// An element of stream management, when the peer has proven a domain.
    pub(super) fn manage(&mut self, root: &ElementRef<'_>) -> Actions {
        let failed =
            |condition| -> Actions { smallvec![Action::Send(managed::failed(condition, None))] };
        let step = match managed::read(root) {
            Some(Word::Enable(is_named)) if !self.is_managed => {
                self.is_managed = true;
                Step::Enable(is_named)
            }
            // No stream is resumed, but how much was handled is told (XEP-0198 §5).
            Some(Word::Resume(id)) if !self.is_managed => Step::Resume(id),
            Some(Word::Enable(_) | Word::Resume(_)) => return failed(Condition::UnexpectedRequest),
            Some(Word::Ask) if self.is_managed => Step::Asked,
            Some(Word::Handled(Some(h))) if self.is_managed => Step::Handled(h),
            Some(Word::Handled(None)) if self.is_managed => {
                let text = "h must be a number below 2^32";
                return self.fail(StreamCondition::InvalidXml.text(text));
            }
            // Answers to nobody.
            Some(_) => return Actions::new(),
            None => return self.fail(StreamCondition::UnsupportedStanzaType.into()),
        };
        smallvec![Action::Manage(step)]
    }

    /// Nothing is proven yet (XEP-0198 §3).
    pub(super) fn manage_too_early(&self) -> Actions {
        smallvec![Action::Send(managed::failed(Condition::UnexpectedRequest, None))]
    }
}

impl Stream {
    /// Does what stream management asks for.
    pub(super) fn manage(&mut self, step: Step) -> Result<(), StreamError> {
        if let Step::Enable(is_named) = step {
            self.enable(is_named);
            return Ok(());
        }
        let Self { connection, lanes, owed, sending, .. } = self;
        let on_its_way = sending.as_mut().map(|(_, on_its_way)| on_its_way);
        match (step, on_its_way) {
            // Those of the other side.
            (Step::Begin | Step::Enable(_) | Step::Refused | Step::Resume(_), _) => {}
            (Step::Handled(0), None) => {}
            (Step::Asked, _) => owed.ask(lanes.handled.entered()),
            (Step::Handled(h), Some(on_its_way)) => {
                on_its_way.acknowledged(h, connection)?;
            }
            (Step::Handled(h), None) => {
                let detail = Some(Detail::HandledCountTooHigh { h, sent: 0 });
                return Err(StreamError { detail, ..StreamCondition::UndefinedCondition.into() });
            }
        }
        Ok(())
    }

    /// Both sides count what follows.
    fn enable(&mut self, is_named: bool) {
        let pair = self.machine.pairs().first().filter(|_| is_named);
        let named = pair.zip(self.entry.as_ref()).and_then(|(pair, entry)| {
            self.servers.counters.enter(&pair.remote, entry, &self.lanes.handled)
        });
        let (id, counting) = named.unzip();
        self.counting = counting;
        self.flow.answer(&mut self.connection, &managed::enabled(id.as_ref()));
        self.id = id;
        self.silent_until = None;
        self.lanes.handled.begin();
        if let Some((_, on_its_way)) = &mut self.sending {
            on_its_way.count_from_now(&self.connection);
        }
    }

    /// The peer comes back after a stream was cut: it is told how much was handled on it.
    pub(super) async fn resume(&mut self, id: &str) {
        let handled = match self.machine.pairs().first() {
            Some(pair) => Box::pin(self.servers.counters.take(id, &pair.remote)).await,
            None => None,
        };
        let failed = managed::failed(Condition::ItemNotFound, handled);
        self.flow.answer(&mut self.connection, &failed);
    }

    /// Answers how many stanzas we have handled, if that was asked and is true now.
    pub(super) fn answer(&mut self) {
        if let Some(handled) = self.owed.answer(self.lanes.handled.count()) {
            self.flow.answer(&mut self.connection, &managed::handled(handled));
        }
    }

    /// The last word before our stream ends: how many stanzas we have handled (XEP-0198 §4).
    pub(super) fn acknowledge_last(&mut self) {
        if self.machine.is_managed() && !self.connection.has_ended_ours() {
            self.connection.send(&managed::handled(self.lanes.handled.count()));
        }
    }
}
