//! Resuming a session (XEP-0198 §5).

use smallvec::smallvec;

use super::action::{Action, Actions, Stage};
use super::machine::{Negotiation, State};
use super::profile::Profile;
use crate::jid::Jid;
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

    /// The driver has resumed the session with this id and address, which has handled so many stanzas of the client.
    /// Or it could not, and perhaps it knows how many stanzas the session had handled (XEP-0198 §5): then
    /// the answer is `item-not-found`, even if resumption is switched off now.
    pub(crate) fn resumed(
        &mut self,
        id: &str,
        resumed: Result<(&Jid, u32), Option<u32>>,
    ) -> Actions {
        if self.state != State::Binding {
            return self.unasked();
        }
        let is_inline = matches!(self.profile, Profile::Sasl2(_));
        match resumed {
            Ok((jid, h)) => {
                let resumed = element("resumed").ns(ns::SM).attr("previd", id);
                let resumed = resumed.attr("h", h.to_string());
                if is_inline {
                    return self.resumed_inline(jid, resumed);
                }
                self.state = State::Over;
                smallvec![Action::Send(resumed), Action::Run]
            }
            Err(h) => {
                let condition = match h {
                    None if !self.settings.resumption => Condition::FeatureNotImplemented,
                    _ => Condition::ItemNotFound,
                };
                let h = h.map(|h| h.to_string());
                let failed = sm_failed(condition, h.as_deref());
                if is_inline {
                    return self.not_resumed(failed);
                }
                self.state = State::Features(Stage::Authenticated);
                self.try_again(failed)
            }
        }
    }
}

/// `<failed/>` of stream management (XEP-0198 §6). `h`: how many stanzas the session had handled.
pub(crate) fn sm_failed(condition: Condition, h: Option<&str>) -> Node {
    let condition = element(condition.as_str()).ns(ns::STANZA_ERRORS);
    element("failed").ns(ns::SM).maybe_attr("h", h).child(condition)
}
