//! Logging in (RFC 6120 §6), by either profile of SASL.

use smallvec::smallvec;

use super::action::{Action, Actions, Stage};
use super::machine::{Negotiation, State};
use super::profile::{Profile, decode};
use crate::auth::{self, SaslError, Step};
use crate::ns;
use crate::stanza::StreamCondition;
use crate::xml::{ElementRef, element};

impl Negotiation {
    /// `<auth/>` came.
    pub(super) fn auth(&mut self, root: &ElementRef<'_>) -> Actions {
        self.profile = Profile::Sasl;
        let Some(mechanism) = root.attr("mechanism") else {
            return self.refuse(SaslError::InvalidMechanism);
        };
        match sasl_payload(root) {
            Ok(initial) => {
                self.state = State::Verifying;
                smallvec![Action::Begin(mechanism.into_owned(), initial, None)]
            }
            Err(error) => self.refuse(error),
        }
    }

    /// The driver has taken a step of the SASL exchange.
    pub(crate) fn sasl(&mut self, step: Result<Step, SaslError>) -> Actions {
        if self.state != State::Verifying {
            return self.unasked();
        }
        match step {
            Err(error) => self.refuse(error),
            Ok(Step::Challenge(data)) => {
                self.state = State::Challenged;
                smallvec![Action::Send(self.profile.with_data("challenge", &data))]
            }
            Ok(Step::Success { user, data, anonymous }) => {
                // XEP-0388 §2.3: an address in the header of the stream must be that of the login.
                let claimed = self.from.clone().filter(|_| !anonymous);
                self.user = Some(user);
                if let Profile::Sasl2(inline) = &self.profile {
                    if claimed.is_some_and(|claimed| Some(claimed) != self.user) {
                        return self.refuse(SaslError::InvalidAuthzid);
                    }
                    return self.tasks_or_login(inline.clone(), data);
                }
                let mut success = element("success").ns(ns::SASL);
                if let Some(data) = data {
                    success = success.text(&auth::encode(&data));
                }
                self.restart(Stage::Authenticated);
                let restart = Action::Restart(Stage::Authenticated);
                smallvec![Action::Forget, Action::Send(success), restart]
            }
        }
    }

    /// `<response/>` came.
    pub(super) fn sasl_response(&mut self, root: &ElementRef<'_>) -> Actions {
        let message = match self.profile {
            Profile::Sasl => sasl_payload(root),
            Profile::Sasl2(_) => decode(&root.text()).map(Some),
        };
        match message {
            Ok(message) => {
                self.state = State::Verifying;
                smallvec![Action::Continue(message.unwrap_or_default())]
            }
            Err(error) => self.refuse(error),
        }
    }

    /// Refuses a login. The client may try again some times (RFC 6120 §6.4.5).
    pub(super) fn refuse(&mut self, error: SaslError) -> Actions {
        let is_plain = self.state == State::Features(Stage::Plain);
        let stage = if is_plain { Stage::Plain } else { Stage::Secured };
        self.state = State::Features(stage);
        self.user = None;
        self.tasks.clear();
        self.failed += u32::from(!error.is_about_binding());
        let failure = self.profile.failure(error);
        let mut actions: Actions = smallvec![Action::Forget, Action::Send(failure)];
        if self.failed >= self.settings.failures {
            actions
                .extend(self.fail(StreamCondition::PolicyViolation.text("too many failed logins")));
        }
        actions
    }
}

/// The data of an element: none, or base64, with `=` for empty data (RFC 6120 §6.4.2).
fn sasl_payload(root: &ElementRef<'_>) -> Result<Option<Vec<u8>>, SaslError> {
    let text = root.text();
    if text.is_empty() {
        return Ok(None);
    }
    auth::decode(&text).map(Some)
}
