//! Private messages that the room has passed on, so that their senders hear of those that come back.

use std::collections::VecDeque;

use smol_str::SmolStr;

use crate::jid::{BareJid, FullJid, Jid};

/// A private message.
#[derive(Clone, Debug)]
pub(super) struct PrivateMessage {
    pub(super) id: Option<SmolStr>,
    /// The session that has sent it, and its address in the room.
    pub(super) by: Jid,
    pub(super) from: FullJid,
    /// The address to which it was sent, and whose that was.
    pub(super) to: FullJid,
    pub(super) user: BareJid,
    /// So many sessions have got it, or are to get it.
    pub(super) left: usize,
}

/// The newest of them. Whoever sends an error about another one says nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct PrivateMessages(VecDeque<PrivateMessage>);

impl PrivateMessages {
    pub(super) fn note(&mut self, message: PrivateMessage) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(message);
    }

    /// A message has come back from a session of `user`: the message, if it was one of these. Its `left` is 0 if
    /// none of the sessions has got it: then it is forgotten.
    pub(super) fn returned(
        &mut self,
        user: &BareJid,
        from: &Jid,
        id: Option<&str>,
    ) -> Option<PrivateMessage> {
        let is_it =
            |it: &PrivateMessage| it.user == *user && *it.from == *from && it.id.as_deref() == id;
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
