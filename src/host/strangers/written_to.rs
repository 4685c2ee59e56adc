//! The addresses to which a user has written, or whose nodes the user has asked for: they are no strangers. They are
//! remembered whatever the user lets through now, so that a later choice breaks no conversation.
//!
//! Each is a document of the account: its key is the bare address, its text the time of the last use, which is renewed
//! at most once a week.

use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;

/// What is held in memory of the addresses of an account: the time of their last use, by bare address. At most 1,000;
/// of too many, the one that was not used for longest goes.
#[derive(Debug, Default)]
pub struct WrittenTo {
    all: Mutex<FxHashMap<Jid, Timestamp>>,
    /// As many as the cache has counted bytes for.
    counted: usize,
}

impl WrittenTo {
    /// From the documents.
    pub(super) fn read(documents: &[(String, String)]) -> Self {
        let one = |(jid, at): &(String, String)| {
            let at = at.parse().ok().map(Timestamp::from_micros)?;
            Some((Jid::parse(jid).ok()?, at))
        };
        let all: FxHashMap<_, _> = documents.iter().filter_map(one).collect();
        Self { counted: all.len() * 2, all: Mutex::new(all) }
    }

    /// The text of a document.
    pub(super) fn text(at: Timestamp) -> String {
        format!("{:020}", at.as_micros())
    }

    /// Whether the user has written to this bare address.
    #[must_use]
    pub fn contains(&self, bare: &str) -> bool {
        self.all.lock().contains_key(bare)
    }

    /// Whether it is to be stored that this bare address is used now: it is not there, or was not renewed for a week.
    #[must_use]
    pub fn is_due(&self, bare: &str, now: Timestamp) -> bool {
        let last = self.all.lock().get(bare).copied();
        last.is_none_or(|last| now.as_micros().saturating_sub(last.as_micros()) > week())
    }

    /// The address that goes if this one is added.
    pub(super) fn goes_for(&self, new: &str) -> Option<Jid> {
        let all = self.all.lock();
        if all.len() < MOST || all.contains_key(new) {
            return None;
        }
        all.iter().min_by_key(|(_, at)| **at).map(|(jid, _)| jid.clone())
    }

    /// Notes an address whose use was stored. `false`: there are more addresses now than memory was counted for.
    pub(super) fn add(&self, bare: &BareJid, at: Timestamp) -> bool {
        let goes = self.goes_for(bare.as_str());
        let mut all = self.all.lock();
        if let Some(goes) = goes {
            all.remove(&goes);
        }
        all.insert(bare.clone().into(), at);
        all.len() <= self.counted
    }

    /// About how many bytes it occupies, with room to grow.
    pub(super) fn bytes(&self) -> usize {
        let all = self.all.lock();
        let text: usize = all.keys().map(|jid| jid.as_str().len()).sum();
        2 * (text + all.len() * (size_of::<(Jid, Timestamp)>() + OVERHEAD))
    }
}

fn week() -> i64 {
    i64::try_from(RENEWED_AFTER.as_micros()).unwrap_or(i64::MAX)
}

const RENEWED_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Addresses of an account.
const MOST: usize = 1000;
/// Bytes of an entry beside the address and the time.
const OVERHEAD: usize = 32;

#[cfg(test)]
mod tests {
    use super::{MOST, RENEWED_AFTER, WrittenTo};
    use crate::jid::BareJid;
    use crate::payload::datetime::Timestamp;

    fn name(n: usize) -> BareJid {
        BareJid::parse(&format!("s{n}@a.example")).unwrap()
    }

    #[test]
    fn of_too_many_the_one_that_was_not_used_for_longest_goes() {
        let at = |n: usize| Timestamp::from_micros(i64::try_from(n).unwrap());
        let documents: Vec<_> =
            (0..MOST).map(|n| (name(n).as_str().to_owned(), WrittenTo::text(at(n)))).collect();
        let all = WrittenTo::read(&documents);
        assert!(all.add(&name(0), at(MOST)), "it is there already");
        assert!(all.goes_for(name(0).as_str()).is_none());
        assert_eq!(all.goes_for(name(MOST).as_str()), Some(name(1).into()));
        assert!(all.add(&name(MOST), at(MOST)));
        assert!(all.contains(name(0).as_str()) && all.contains(name(MOST).as_str()));
        assert!(!all.contains(name(1).as_str()));
    }

    #[test]
    fn the_time_is_renewed_at_most_once_a_week_and_memory_is_counted_again_as_it_grows() {
        let now = Timestamp::from_micros(1 << 50);
        let later = i64::try_from(RENEWED_AFTER.as_micros()).unwrap() + 1;
        let later = Timestamp::from_micros(now.as_micros() + later);
        let all = WrittenTo::default();
        assert!(all.is_due(name(0).as_str(), now));
        assert!(!all.add(&name(0), now), "nothing was counted for the first one");
        assert!(!all.is_due(name(0).as_str(), now) && all.is_due(name(0).as_str(), later));
        let damaged = [("@".to_owned(), "1".to_owned()), ("a@b".to_owned(), "x".to_owned())];
        assert!(!WrittenTo::read(&damaged).contains("a@b"));
    }
}
