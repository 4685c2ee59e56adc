//! Stream management on a stream that we have opened (XEP-0198): we ask for it after the login or dialback, if it is offered.

use smallvec::smallvec;
use smol_str::SmolStr;

use super::action::{Action, Actions, Management};
use super::machine::{Outgoing, State};
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

    /// Sets the id of the previous stream, which was cut.
    pub(in crate::s2s) fn follows(&mut self, id: Option<SmolStr>) {
        self.resumption.previous = id;
    }

    /// How much the other server has handled on the previous stream, in its own count.
    pub(in crate::s2s) fn handled_before(&self) -> Option<u32> {
        self.resumption.handled
    }

    /// The id by which the next stream asks how much was handled on this one.
    pub(in crate::s2s) fn own_id(&self) -> Option<&SmolStr> {
        self.resumption.own.as_ref()
    }

    /// Asks for stream management; before that, how much was handled on the previous stream. Our own count of that stream
    /// is 0, since nothing was counted that came on it.
    pub(super) fn begin_management(&mut self) -> Actions {
        match self.resumption.previous.take() {
            Some(id) => {
                self.state = State::Resuming;
                smallvec![Action::Send(managed::resume(&id, 0))]
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
        self.begin_management()
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
