//! Private messages that the room has passed on (XEP-0045 §7.5). If one bounces, its sender gets the error.

use std::collections::VecDeque;

use smol_str::SmolStr;

use crate::jid::{BareJid, FullJid, Jid};

/// A private message that was passed on.
#[derive(Clone, Debug)]
pub(super) struct SentPrivateMessage {
    pub(super) id: Option<SmolStr>,
    /// The session that has sent it, and its address in the room.
    pub(super) by: Jid,
    pub(super) from: FullJid,
    /// The address to which it was sent, and whose that was.
    pub(super) to: FullJid,
    pub(super) user: BareJid,
    /// How many sessions have not returned it.
    pub(super) left: usize,
}

/// The newest of them. An error about any other message is ignored.
#[derive(Clone, Debug, Default)]
pub(super) struct SentPrivateMessages(VecDeque<SentPrivateMessage>);

impl SentPrivateMessages {
    pub(super) fn note(&mut self, message: SentPrivateMessage) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(message);
    }

    /// Returns the message to which an error of a session of `user` belongs, if it is one of these. If no session has got
    /// it, its `left` is 0, and it is forgotten.
    pub(super) fn bounced(
        &mut self,
        user: &BareJid,
        from: &Jid,
        id: Option<&str>,
    ) -> Option<SentPrivateMessage> {
        let is_it = |it: &SentPrivateMessage| {
            it.user == *user && *it.from == *from && it.id.as_deref() == id
        };
        let place = self.0.iter().rposition(is_it)?;
        let found = self.0.get_mut(place)?;
        found.left -= 1;
        match found.left {
            0 => self.0.remove(place),
            _ => Some(found.clone()),
        }
    }
}

/// Messages that are remembered, at most.
const MOST: usize = 256;
