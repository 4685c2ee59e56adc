//! Takes what another server says on a stream that it has opened.

use std::fmt::Display;

use super::action::{Action, Actions};
use super::serve::Stream;
use crate::host::stanza_log;
use crate::ns;
use crate::s2s::failure::log_error_of_peer;
use crate::stanza::{StreamCondition, StreamError};
use crate::stream::input::StreamEvent;
use crate::xml::Frame;

impl Stream {
    /// The rules may have changed since the stream began: what is proven now is proven by those of this moment.
    pub(super) fn renew_rules(&mut self) {
        self.machine.rules = self.servers.rules();
    }

    /// What is to be done about the next thing that the peer has said; `None` if there is nothing.
    pub(super) fn hear(&mut self) -> Option<Actions> {
        match self.connection.input.next_event() {
            Ok(None) => None,
            Ok(Some(StreamEvent::Header(header))) => {
                self.renew_rules();
                Some(self.machine.header(&header))
            }
            Ok(Some(StreamEvent::Element(frame))) => {
                let claimed = self.machine.claimed().map(|pair| &*pair.remote);
                log_error_of_peer(&frame, claimed, self.connection.peer);
                if frame.root().ns() == ns::DIALBACK {
                    self.renew_rules();
                }
                let copy = stanza_log::is_on().then(|| frame.clone());
                let actions = self.machine.element(frame);
                if let Some(copy) = copy {
                    self.note_refused(&copy, &actions);
                }
                Some(actions)
            }
            Ok(Some(StreamEvent::End)) => Some(self.machine.ended()),
            Err(error) => {
                let claimed = self.machine.claimed().map(|pair| &*pair.remote);
                let condition = StreamError::from(error).condition;
                stanza_log::note_refused(claimed, None, condition, Some(&error));
                Some(self.machine.fail(error.into()))
            }
        }
    }

    /// Says in the log that the stream ends because of a stanza, or of what is none, if it does.
    fn note_refused(&self, frame: &Frame, actions: &Actions) {
        let Some(Action::Close(Some(error))) = actions.last() else { return };
        let is_strange = error.condition == StreamCondition::UnsupportedStanzaType;
        if frame.root().ns() != ns::CLIENT && !is_strange {
            return;
        }
        let claimed = self.machine.claimed().map(|pair| &*pair.remote);
        let reason = error.text.as_ref().map(|text| text as &dyn Display);
        stanza_log::note_refused(claimed, Some(&frame.root()), error.condition, reason);
    }
}
