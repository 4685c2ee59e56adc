//! What programs have sent lately, by the ids that they chose: a request that is sent again, because its answer was lost,
//! sends nothing again. It is held in memory: after a restart of the server a program looks into the archive.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quick_cache::sync::Cache;

use super::problem::Problem;
use crate::jid::BareJid;

/// The ids of all accounts. Those of accounts that have sent nothing for long are forgotten.
pub(super) struct Recent(Cache<BareJid, Arc<Mutex<OfAccount>>>);

/// Those of one account, oldest first.
#[derive(Debug, Default)]
struct OfAccount(VecDeque<Entry>);

#[derive(Debug)]
struct Entry {
    id: String,
    /// A hash of what was to be sent.
    content: [u8; 32],
    /// `None`: it is being sent.
    sent: Option<Sent>,
}

/// What was answered, but for what the request says anyway.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Sent {
    /// The id in the archive of the sender.
    pub(super) stanza_id: Option<String>,
}

/// What is to be done with a message.
#[derive(Debug)]
pub(super) enum Begin {
    /// It is new: send it, and tell [`Sending`] the answer.
    Send(Sending),
    /// It was sent.
    Sent(Sent),
}

/// A message that is being sent. If this is dropped without an answer, the message was not sent.
#[derive(Debug)]
pub(super) struct Sending {
    of: Arc<Mutex<OfAccount>>,
    id: String,
}

impl Default for Recent {
    fn default() -> Self {
        Self(Cache::new(ACCOUNTS))
    }
}

impl Recent {
    /// Notes that a message of an account is being sent. `content`: a hash of it.
    ///
    /// # Errors
    /// If it is being sent at the moment, or another one has this id.
    pub(super) fn begin(
        &self,
        user: &BareJid,
        id: &str,
        content: [u8; 32],
    ) -> Result<Begin, Problem> {
        let made = self.0.get_or_insert_with(user, || Ok::<_, Problem>(Arc::default()));
        let of = made?;
        let mut entries = of.lock();
        if let Some(entry) = entries.0.iter().find(|entry| entry.id == id) {
            return match &entry.sent {
                _ if entry.content != content => Err(Problem::IdConflict),
                None => Err(Problem::InProgress),
                Some(sent) => Ok(Begin::Sent(sent.clone())),
            };
        }
        if entries.0.len() >= IDS {
            // One that is being sent is not forgotten.
            let oldest = entries.0.iter().position(|entry| entry.sent.is_some());
            drop(entries.0.remove(oldest.ok_or(Problem::TooMany(AGAIN))?));
        }
        entries.0.push_back(Entry { id: id.to_owned(), content, sent: None });
        drop(entries);
        Ok(Begin::Send(Sending { of, id: id.to_owned() }))
    }
}

impl Sending {
    /// Notes that it was sent.
    pub(super) fn sent(self, sent: Sent) {
        let mut entries = self.of.lock();
        if let Some(entry) = entries.0.iter_mut().find(|entry| entry.id == self.id) {
            entry.sent = Some(sent);
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.of.lock().0.retain(|entry| entry.id != self.id || entry.sent.is_some());
    }
}

/// Accounts whose ids are held.
const ACCOUNTS: usize = 4096;
/// How long a client waits if so many are being sent at once.
const AGAIN: Duration = Duration::from_secs(1);
/// Ids of one account: some hundred bytes each.
const IDS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Sent {
        Sent { stanza_id: Some(text.to_owned()) }
    }

    #[test]
    fn an_id_is_sent_once() {
        let recent = Recent::default();
        let [romeo, juliet] =
            ["romeo@a.example", "juliet@a.example"].map(|jid| BareJid::parse(jid).unwrap());
        let begin = |user: &BareJid, id: &str, content| recent.begin(user, id, [content; 32]);
        let Ok(Begin::Send(sending)) = begin(&romeo, "a", 1) else { panic!("it is new") };
        assert_eq!(begin(&romeo, "a", 1).unwrap_err(), Problem::InProgress);
        assert!(matches!(begin(&juliet, "a", 1), Ok(Begin::Send(_))), "another account");
        sending.sent(answer("7"));
        let Ok(Begin::Sent(sent)) = begin(&romeo, "a", 1) else { panic!("it was sent") };
        assert_eq!(sent, answer("7"));
        assert_eq!(begin(&romeo, "a", 2).unwrap_err(), Problem::IdConflict);
        // One that failed may be sent again.
        drop(begin(&romeo, "b", 1).unwrap());
        assert!(matches!(begin(&romeo, "b", 1), Ok(Begin::Send(_))));
        for n in 0..IDS {
            let Ok(Begin::Send(sending)) = begin(&romeo, &n.to_string(), 1) else { panic!("{n}") };
            sending.sent(answer("8"));
        }
        assert!(matches!(begin(&romeo, "a", 1), Ok(Begin::Send(_))), "forgotten");
        // One that is being sent is never forgotten.
        let all: Vec<_> = (0..IDS).map(|n| begin(&juliet, &n.to_string(), 1).unwrap()).collect();
        assert!(matches!(begin(&juliet, "one more", 1), Err(Problem::TooMany(_))));
        assert_eq!(begin(&juliet, "0", 1).unwrap_err(), Problem::InProgress);
        drop(all);
    }
}
