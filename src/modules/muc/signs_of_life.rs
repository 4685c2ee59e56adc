//! When sessions on other servers last sent something, so that ghosts are found (XEP-0045 §18.1.2). Sessions of this
//! server leave their rooms when they end.

use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::time::Instant;

use crate::jid::Jid;

/// Sessions on other servers that are in rooms of a service.
#[derive(Debug, Default)]
pub(super) struct SignsOfLife(Mutex<FxHashMap<Jid, Sign>>);

/// A sign of life.
#[derive(Clone, Copy, Debug)]
struct Sign {
    at: Instant,
    /// Pings that it has not answered since then.
    missed: u8,
    /// An error has come since then that may mean that it is gone.
    is_doubted: bool,
}

impl Sign {
    fn now() -> Self {
        Self { at: Instant::now(), missed: 0, is_doubted: false }
    }
}

impl SignsOfLife {
    /// Notes that a session that is in a room has sent something.
    pub(super) fn note(&self, session: &Jid) {
        self.0.lock().insert(session.clone(), Sign::now());
    }

    /// Notes a doubt whether the session still exists: it is asked soon.
    pub(super) fn doubt(&self, session: &Jid) {
        if let Some(sign) = self.0.lock().get_mut(session) {
            sign.is_doubted = true;
        }
    }

    /// Those of the sessions in rooms that have been silent for long, or are doubted. Sessions that are in no room any more are
    /// forgotten. The silence of a session that is new here begins now.
    pub(super) fn silent(&self, present: &FxHashSet<Jid>) -> Vec<Jid> {
        let mut signs = self.0.lock();
        signs.retain(|session, _| present.contains(session));
        let is_silent = |session: &&Jid| {
            let sign = signs.entry(Jid::clone(session)).or_insert_with(Sign::now);
            sign.is_doubted || sign.at.elapsed() >= SILENCE
        };
        present.iter().filter(is_silent).cloned().collect()
    }

    /// Notes that a session has not answered a ping. Returns whether it counts as ended now: one answer may be lost.
    pub(super) fn missed(&self, session: &Jid) -> bool {
        let mut signs = self.0.lock();
        let Some(sign) = signs.get_mut(session) else { return false };
        sign.missed += 1;
        sign.missed >= MISSED
    }
}

/// A session that is silent for this time is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(10 * 60);
/// After so many unanswered pings, a session counts as ended.
const MISSED: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_session_is_asked_and_gone_after_two_pings() {
        let signs = SignsOfLife::default();
        let jid = |text| Jid::parse(text).unwrap();
        let (hag, crone) =
            (jid("hag66@witches.example/pda"), jid("crone1@witches.example/desktop"));
        let both: FxHashSet<Jid> = [hag.clone(), crone.clone()].into_iter().collect();
        assert!(signs.silent(&both).is_empty());
        tokio::time::advance(SILENCE / 2).await;
        signs.note(&crone);
        tokio::time::advance(SILENCE / 2).await;
        assert_eq!(signs.silent(&both), std::slice::from_ref(&hag));
        assert!(!signs.missed(&hag));
        assert!(signs.missed(&hag));
        signs.note(&hag);
        assert!(!signs.missed(&hag), "a sign of life counts more than pings before it");
        signs.doubt(&hag);
        assert_eq!(signs.silent(&both).len(), 1, "who is doubted is asked");
        signs.note(&hag);
        assert!(signs.silent(&both).is_empty());
        // One that has left is forgotten.
        assert!(signs.silent(&FxHashSet::default()).is_empty());
        assert!(!signs.missed(&crone));
    }
}
