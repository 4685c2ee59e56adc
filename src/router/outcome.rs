//! What became of a stanza, as its pipeline says. The record of it in the log is the last one of the stanza
//! (`host/stanza_log.rs` has its span and all other records).

use tracing::debug;

use crate::log::STANZA;

/// What became of a stanza that was not refused or dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The request is answered.
    Answered,
    /// It is in the archive of its recipient. No session has got it, and none will get it later.
    Archived,
    /// It has changed what it changes. Others learn of the change by stanzas of their own.
    Done,
    /// This number of sessions have it in their mailboxes, or read it later in their catch-up.
    Delivered(usize),
    /// A service, or another server, has it.
    HandedOver,
    /// It waits until the user accepts its sender, who is a stranger.
    Request,
    /// Nobody looks at the clients that would have got it, and it is worthless later (XEP-0352).
    Shed,
    /// It is stored until a client of its recipient comes.
    Waiting,
}

/// The record at the end of a stanza that was not refused or dropped.
pub(super) fn log(outcome: Outcome) {
    match outcome {
        Outcome::Answered => debug!(target: STANZA, "answered"),
        Outcome::Archived => debug!(target: STANZA, "archived, not to be delivered later"),
        Outcome::Delivered(0) => {
            debug!(target: STANZA, reason = "no session is there for it", "dropped")
        }
        Outcome::Delivered(sessions) => debug!(target: STANZA, sessions, "delivered"),
        Outcome::Done => debug!(target: STANZA, "done"),
        Outcome::HandedOver => debug!(target: STANZA, "handed over"),
        Outcome::Request => debug!(target: STANZA, "waits until the user accepts its sender"),
        Outcome::Shed => debug!(target: STANZA, reason = "nobody looks at the client", "dropped"),
        Outcome::Waiting => debug!(target: STANZA, "stored until a client comes"),
    }
}

#[cfg(test)]
mod tests;
