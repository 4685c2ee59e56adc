//! Resuming a session (XEP-0198 §5).

use smallvec::smallvec;

use super::machine::{Action, Actions, Negotiation, Stage, State};
use crate::ns;
use crate::stanza::Condition;
use crate::xml::{ElementRef, Node, element};

impl Negotiation {
    /// An element of stream management came. Before there is a session, only `<resume/>` is allowed, and
    /// nothing before authentication (XEP-0198 §3, §5).
    pub(super) fn manage(&mut self, stage: Stage, root: &ElementRef<'_>) -> Actions {
        if root.name() != "resume" || stage != Stage::Authenticated {
            return self.try_again(sm_failed(Condition::UnexpectedRequest, None));
        }
        let h = root.attr("h").and_then(|h| h.parse().ok());
        let (Some(id), Some(h)) = (root.attr("previd"), h) else {
            return self.try_again(sm_failed(Condition::BadRequest, None));
        };
        self.state = State::Binding;
        smallvec![Action::Resume(id.into_owned(), h)]
    }

    /// The driver has resumed the session with this id, which has handled so many stanzas of the client.
    /// Or it could not, and perhaps it knows how many stanzas the session had handled (XEP-0198 §5): then
    /// the answer is `item-not-found`, even if resumption is switched off now.
    pub(crate) fn resumed(&mut self, id: &str, handled: Result<u32, Option<u32>>) -> Actions {
        if self.state != State::Binding {
            return self.unasked();
        }
        match handled {
            Ok(h) => {
                self.state = State::Over;
                let resumed = element("resumed").ns(ns::SM).attr("previd", id);
                let resumed = resumed.attr("h", h.to_string());
                smallvec![Action::Send(resumed), Action::Run]
            }
            Err(h) => {
                self.state = State::Features(Stage::Authenticated);
                let condition = match h {
                    None if !self.settings.resumption => Condition::FeatureNotImplemented,
                    _ => Condition::ItemNotFound,
                };
                let h = h.map(|h| h.to_string());
                self.try_again(sm_failed(condition, h.as_deref()))
            }
        }
    }
}

/// `<failed/>` of stream management (XEP-0198 §6). `h`: how many stanzas the session had handled.
pub(crate) fn sm_failed(condition: Condition, h: Option<&str>) -> Node {
    let condition = element(condition.as_str()).ns(ns::STANZA_ERRORS);
    element("failed").ns(ns::SM).maybe_attr("h", h).child(condition)
}
