//! Slow mode (XEP-0500): how long users wait between two texts that they write to all.

use super::{Actor, Moment, Room};
use crate::jid::BareJid;
use crate::ns;
use crate::stanza::{Condition, ErrorKind, StanzaError};
use crate::xml::element;

impl Room {
    /// Whether a user may write to all now: in whichever session, under whichever nickname (XEP-0500 §8). Admins and
    /// owners need not wait (§6).
    ///
    /// # Errors
    /// `policy-violation`, to be tried again later.
    pub(super) fn may_speak(&self, now: &Moment, actor: &Actor) -> Result<(), StanzaError> {
        let Some(spoke) = self.spoke.get(&actor.user) else { return Ok(()) };
        let is_over = now.at.as_micros() >= spoke.as_micros() + self.wait_micros();
        if is_over || self.affiliation_of(actor).is_admin() {
            return Ok(());
        }
        let text = format!(
            "This room is in slow mode: you have to wait {} seconds between two messages.",
            self.config.slow_mode
        );
        let text = element("text").ns(ns::STANZA_ERRORS).attr("xml:lang", "en").text(&text);
        let error = StanzaError::from(Condition::PolicyViolation).kind(ErrorKind::Wait);
        Err(StanzaError { detail: Some(text), ..error })
    }

    /// Notes that a user has written to all.
    pub(super) fn note_spoken(&mut self, now: &Moment, user: &BareJid) {
        if self.config.slow_mode == 0 {
            self.spoke.clear();
            return;
        }
        if self.spoke.len() > 2 * self.occupants.len() + 64 {
            let (at, wait) = (now.at.as_micros(), self.wait_micros());
            self.spoke.retain(|_, spoke| at < spoke.as_micros() + wait);
        }
        self.spoke.insert(user.clone(), now.at);
    }

    fn wait_micros(&self) -> i64 {
        i64::from(self.config.slow_mode) * 1_000_000
    }
}
