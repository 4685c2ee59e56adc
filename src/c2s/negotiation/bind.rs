//! Binding a session (RFC 6120 §7).

use smallvec::smallvec;

use super::action::{Action, Actions, Stage};
use super::machine::{Negotiation, State};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, Iq, IqKind, Refusal, Stanza, StanzaError, StreamCondition};
use crate::xml::{Frame, Node, element};

impl Negotiation {
    /// Before there is a session, only a bind request is allowed (RFC 6120 §7.3.1).
    pub(super) fn bind(&mut self, frame: &Frame) -> Actions {
        let iq = match Stanza::read(frame.clone()) {
            Ok(Stanza::Iq(iq)) => iq,
            // RFC 6120 §8.3.1: an error or a result is never answered.
            Err(Refusal::Faulty(stanza, error)) if is_request(&stanza) => {
                let id = stanza.head().id.as_deref();
                return self.try_again(iq("error", id, error.to_node()));
            }
            Err(Refusal::NotAStanza) => {
                return self.fail(StreamCondition::UnsupportedStanzaType.into());
            }
            _ => return self.fail(StreamCondition::NotAuthorized.into()),
        };
        let Some(resource) = wished_resource(&iq) else {
            return self.fail(StreamCondition::NotAuthorized.into());
        };
        self.bind_id = iq.head.id;
        self.state = State::Binding;
        smallvec![Action::Bind(resource)]
    }

    /// The driver has bound the session to this address, or could not.
    pub(crate) fn bound(&mut self, jid: Result<&Jid, Condition>) -> Actions {
        if self.state != State::Binding {
            return self.unasked();
        }
        let id = self.bind_id.take();
        match jid {
            Ok(jid) => {
                self.state = State::Over;
                let bound = element("bind").ns(ns::BIND).child(element("jid").text(jid.as_str()));
                smallvec![Action::Send(iq("result", id.as_deref(), bound)), Action::Run]
            }
            Err(condition) => {
                self.state = State::Features(Stage::Authenticated);
                let error = StanzaError::from(condition).to_node();
                self.try_again(iq("error", id.as_deref(), error))
            }
        }
    }
}

fn is_request(stanza: &Stanza) -> bool {
    matches!(stanza, Stanza::Iq(iq) if iq.is_request())
}

/// The resource that the client asks for: `None` if this is no bind request, `Some(None)` if the server is
/// to make one.
fn wished_resource(iq: &Iq) -> Option<Option<String>> {
    let bind = iq.payload().filter(|bind| bind.is(ns::BIND, "bind"))?;
    if iq.kind != IqKind::Set {
        return None;
    }
    let resource = bind.child(ns::BIND, "resource").map(|r| r.text().into_owned());
    Some(resource.filter(|r| !r.is_empty()))
}

/// An answer. The id of a request without an id is empty (RFC 6120 §8.3.1).
fn iq(kind: &str, id: Option<&str>, payload: Node) -> Node {
    let id = id.unwrap_or_default();
    element("iq").attr("type", kind).attr("id", id).child(payload)
}
