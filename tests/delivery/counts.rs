//! The client's side of XEP-0198 §4 and §5: what it has sent, and what the server has counted.

use std::collections::VecDeque;

use super::ledger::{Key, RoomKey};

/// A stanza that was sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Sent {
    /// A message of the ledger, and the address it was sent to.
    Message(Key, String),
    /// A message of the ledger to the room.
    Said(RoomKey),
    /// Presence, requests and answers, as they were written.
    Other(String),
}

impl Sent {
    pub(crate) fn xml(&self) -> String {
        match self {
            Self::Message(key, to) => key.xml(to),
            Self::Said(key) => key.xml(),
            Self::Other(xml) => xml.clone(),
        }
    }

    /// It is a message of the ledger: sent until it is acknowledged.
    pub(crate) fn is_promise(&self) -> bool {
        matches!(self, Self::Message(..) | Self::Said(_))
    }
}

/// The counts of one session, over all of its connections.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Under which it can be resumed.
    pub(crate) id: Option<String>,
    /// Stanzas that came: our `h`.
    pub(crate) read: u32,
    /// The server's highest `h`.
    pub(crate) acknowledged: u32,
    /// A message was among those.
    pub(crate) has_promise: bool,
    /// Sent and not acknowledged, in order.
    pub(crate) waiting: VecDeque<Sent>,
}

impl Counts {
    pub(crate) fn new(id: Option<String>) -> Self {
        Self { id, ..Self::default() }
    }

    pub(crate) fn push(&mut self, sent: Sent) {
        self.waiting.push_back(sent);
    }

    /// The server has counted `h` stanzas in all. Those that are new are given back.
    ///
    /// # Errors
    /// In words, if it counts what was never sent, or forgets what it has counted. All of that
    /// was acknowledged before: nobody would ever send it again.
    pub(crate) fn acknowledge(&mut self, h: u32) -> Result<Vec<Sent>, String> {
        let new = h.wrapping_sub(self.acknowledged) as usize;
        if new <= self.waiting.len() {
            self.acknowledged = h;
            let all: Vec<_> = self.waiting.drain(..new).collect();
            self.has_promise |= all.iter().any(Sent::is_promise);
            return Ok(all);
        }
        let (acknowledged, waiting) = (self.acknowledged, self.waiting.len());
        let said = format!("h={h} after h={acknowledged}, with {waiting} more sent");
        Err(if self.acknowledged.wrapping_sub(h) < u32::MAX / 2 {
            format!("the server forgets what it has acknowledged: {said}")
        } else {
            format!("the server acknowledges what was never sent: {said}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Sent};

    fn three() -> Counts {
        let mut counts = Counts::new(None);
        (1..=3).for_each(|n| counts.push(Sent::Other(n.to_string())));
        counts
    }

    #[test]
    fn what_is_acknowledged_comes_back_in_order() {
        let mut counts = three();
        let others = |all: &[&str]| all.iter().map(|&n| Sent::Other(n.into())).collect::<Vec<_>>();
        assert_eq!(counts.acknowledge(2).unwrap(), others(&["1", "2"]));
        assert_eq!(counts.acknowledge(2).unwrap(), []);
        assert_eq!(counts.acknowledge(3).unwrap(), others(&["3"]));
    }

    #[test]
    fn an_acknowledgement_of_what_was_never_sent_is_told() {
        let error = three().acknowledge(4).unwrap_err();
        assert!(error.contains("never sent"), "{error}");
    }

    #[test]
    fn a_count_that_goes_back_is_told() {
        let mut counts = three();
        counts.acknowledge(3).unwrap();
        let error = counts.acknowledge(2).unwrap_err();
        assert!(error.contains("forgets"), "{error}");
    }
}
