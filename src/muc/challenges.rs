//! Who has been asked the question of a room (XEP-0158), and who has answered it.

use std::collections::VecDeque;

use smol_str::SmolStr;

use crate::jid::{BareJid, FullJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::stanza::Presence;

/// Who has been asked, and who has answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Challenges {
    /// The oldest first.
    asked: VecDeque<Asked>,
    /// Users who have answered, the oldest first: they are not asked again.
    passed: VecDeque<BareJid>,
}

/// A user who wants to enter and was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) session: Jid,
    /// The id of the challenge.
    pub(super) id: SmolStr,
    pub(super) at: Timestamp,
    pub(super) address: FullJid,
    pub(super) presence: Presence,
}

impl Challenges {
    /// Remembers a user who is asked. If too many wait, it forgets the one who has waited longest.
    pub(super) fn ask(&mut self, asked: Asked) {
        self.asked.retain(|other| other.session != asked.session);
        if self.asked.len() >= MOST_ASKED {
            self.asked.pop_front();
        }
        self.asked.push_back(asked);
    }

    /// Takes the challenge that a session answers. `None` if it was not asked this, or too long ago.
    pub(super) fn take(&mut self, session: &Jid, id: &str, now: Timestamp) -> Option<Asked> {
        let is_it = |asked: &Asked| asked.session == *session && asked.id == id;
        let place = self.asked.iter().position(is_it)?;
        self.asked.remove(place).filter(|asked| !asked.is_over(now))
    }

    /// A session has entered the room: forgets what it was asked.
    pub(super) fn forget(&mut self, session: &Jid) {
        self.asked.retain(|asked| asked.session != *session);
    }

    /// Notes that a user has answered.
    pub(super) fn pass(&mut self, user: BareJid) {
        if self.passed.len() >= MOST_PASSED {
            self.passed.pop_front();
        }
        self.passed.push_back(user);
    }

    pub(super) fn has_passed(&self, user: &BareJid) -> bool {
        self.passed.contains(user)
    }
}

impl Asked {
    fn is_over(&self, now: Timestamp) -> bool {
        now.as_micros() >= self.at.as_micros().saturating_add(PATIENCE_MICROS)
    }
}

/// How many are asked at the same time. If one more comes, the one that has waited longest is forgotten.
const MOST_ASKED: usize = 100;
/// How many users are remembered who have answered.
const MOST_PASSED: usize = 1000;
/// How long a user may think about the answer.
const PATIENCE_MICROS: i64 = 5 * 60 * 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::PresenceKind;

    fn asked(session: &str, id: &str, at: i64) -> Asked {
        let session = Jid::parse(session).unwrap();
        let address = FullJid::parse("coven@chat.example/hecate").unwrap();
        let presence =
            Presence::bare(PresenceKind::Available, session.clone(), address.clone().into_jid());
        Asked { session, id: id.into(), at: Timestamp::from_micros(at), address, presence }
    }

    #[test]
    fn a_challenge_is_answered_once_in_time_and_by_the_session_that_was_asked() {
        let mut challenges = Challenges::default();
        let session = Jid::parse("hecate@witches/pda").unwrap();
        let now = Timestamp::from_micros(PATIENCE_MICROS);
        challenges.ask(asked("hecate@witches/pda", "1", 0));
        assert!(challenges.take(&session, "1", now).is_none(), "too late");
        challenges.ask(asked("hecate@witches/pda", "2", 1));
        challenges.ask(asked("hecate@witches/pda", "3", 1));
        let other = Jid::parse("hecate@witches/broom").unwrap();
        assert!(challenges.take(&session, "2", now).is_none(), "asked again");
        assert!(challenges.take(&other, "3", now).is_none(), "somebody else");
        assert!(challenges.take(&session, "3", now).is_some());
        assert!(challenges.take(&session, "3", now).is_none(), "a second time");
    }

    #[test]
    fn few_are_remembered() {
        let mut challenges = Challenges::default();
        for n in 0..=MOST_ASKED {
            challenges.ask(asked(&format!("witch{n}@witches/pda"), "1", 0));
        }
        assert_eq!(challenges.asked.len(), MOST_ASKED);
        let first = Jid::parse("witch0@witches/pda").unwrap();
        assert!(challenges.take(&first, "1", Timestamp::from_micros(0)).is_none());
        for n in 0..=MOST_PASSED {
            challenges.pass(BareJid::parse(&format!("witch{n}@witches")).unwrap());
        }
        assert_eq!(challenges.passed.len(), MOST_PASSED);
    }
}
