//! Stream management on a stream that we have opened (XEP-0198): we ask for it after the login or dialback, if it is offered.

use smallvec::smallvec;
use smol_str::SmolStr;

use super::action::{Action, Actions, Management};
use super::machine::{Outgoing, State};
use crate::s2s::failure::Failure;
use crate::s2s::managed::{self, Step, Word};
use crate::stanza::{Condition, StreamCondition};
use crate::xml::ElementRef;

impl Outgoing {
    /// Whether the other server acknowledges what is sent after the negotiation.
    pub(in crate::s2s) fn asks_for_acknowledgements(&self) -> bool {
        self.management != Management::Off
    }

    /// Whether what the other server sends is acknowledged.
    pub(in crate::s2s) fn is_managed(&self) -> bool {
        self.management == Management::On
    }

    /// Sets the id of the previous stream, which was cut, and how much had come on it.
    pub(in crate::s2s) fn follows(&mut self, previous: Option<(SmolStr, u32)>) {
        self.resumption.previous = previous;
    }

    /// Whether the answer about the previous stream is due. The other server has proven its domain.
    pub(in crate::s2s) fn is_resuming(&self) -> bool {
        self.state == State::Resuming
    }

    /// How much the other server has handled on the previous stream, and how much had come on it, if this stream takes its place.
    pub(in crate::s2s) fn resumed(&self) -> Option<(u32, u32)> {
        self.resumption.handled.zip(self.resumption.heard)
    }

    /// How much the other server has handled on the previous stream, in its own count.
    pub(in crate::s2s) fn handled_before(&self) -> Option<u32> {
        self.resumption.handled
    }

    /// The id by which the next stream asks how much was handled on this one.
    pub(in crate::s2s) fn own_id(&self) -> Option<&SmolStr> {
        self.resumption.own.as_ref()
    }

    /// Asks for stream management; before that, how much was handled on the previous stream.
    pub(super) fn begin_management(&mut self) -> Actions {
        match &self.resumption.previous {
            Some((id, heard)) => {
                self.state = State::Resuming;
                smallvec![Action::Send(managed::resume(id, *heard))]
            }
            None => {
                self.management = Management::Asked;
                let mut actions: Actions = smallvec![Action::Send(managed::enable())];
                actions.extend(self.ready());
                actions
            }
        }
    }

    /// The other server does not resume the previous stream. It may know how much it has handled.
    pub(super) fn not_resumed(&mut self, root: &ElementRef<'_>) -> Actions {
        if let Some(Word::Failed(handled)) = managed::read(root) {
            self.resumption.handled = handled;
        }
        self.resumption.previous = None;
        self.begin_management()
    }

    /// The other server resumes the previous stream: both counts go on, and so does its id (XEP-0198 §5).
    pub(super) fn went_on(&mut self, root: &ElementRef<'_>) -> Actions {
        let (Some(Word::Resumed(Some(handled))), Some((id, heard))) =
            (managed::read(root), self.resumption.previous.take())
        else {
            return self
                .fail(Failure::protocol("the other server resumes a stream without a count"));
        };
        self.resumption.handled = Some(handled);
        self.resumption.heard = Some(heard);
        self.resumption.own = Some(id);
        self.management = Management::On;
        self.ready()
    }

    /// An element of stream management.
    pub(super) fn manage(&mut self, root: &ElementRef<'_>) -> Actions {
        let is_on = self.management != Management::Off;
        let step = match managed::read(root) {
            Some(Word::Enabled(id)) if self.management == Management::Asked => {
                self.management = Management::On;
                self.resumption.own = id;
                Step::Begin
            }
            Some(Word::Failed(_)) if self.management == Management::Asked => {
                self.management = Management::Off;
                Step::Refused
            }
            Some(Word::Enable(_) | Word::Resume(_)) => {
                let failed = managed::failed(Condition::UnexpectedRequest, None);
                return smallvec![Action::Send(failed)];
            }
            Some(Word::Ask) if is_on => Step::Asked,
            Some(Word::Handled(Some(h))) if is_on => Step::Handled(h),
            Some(Word::Handled(None)) if is_on => {
                let text = "h must be a number below 2^32";
                return self.close(StreamCondition::InvalidXml.text(text));
            }
            // Answers without a question.
            Some(_) => return Actions::new(),
            None => return self.close(StreamCondition::UnsupportedStanzaType.into()),
        };
        smallvec![Action::Manage(step)]
    }
}
