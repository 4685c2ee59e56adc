//! Registering an account before the login (XEP-0077 §3.1.1), maybe with an invitation (XEP-0445).

use smallvec::smallvec;

use super::action::{Action, Actions};
use super::machine::Negotiation;
use crate::ns;
use crate::stanza::{Iq, Stanza, StreamCondition};
use crate::xml::Frame;

impl Negotiation {
    /// A request about registration, the only stanza that is allowed before authentication.
    pub(super) fn register(&mut self, frame: &Frame) -> Actions {
        match Stanza::read(frame.clone()) {
            Ok(Stanza::Iq(iq)) if is_register(&iq) || self.is_token(&iq) => {
                smallvec![Action::Register(Box::new(iq))]
            }
            _ => self.fail(StreamCondition::NotAuthorized.into()),
        }
    }

    /// XEP-0445 §4.
    fn is_token(&self, iq: &Iq) -> bool {
        let is_payload = iq.payload().is_some_and(|payload| payload.is(ns::PARS, "preauth"));
        self.settings().invitations && iq.is_request() && is_payload
    }
}

fn is_register(iq: &Iq) -> bool {
    let is_payload = iq.payload().is_some_and(|query| query.is(ns::REGISTER, "query"));
    iq.is_request() && is_payload
}
