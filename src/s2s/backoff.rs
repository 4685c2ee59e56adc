//! After a failure, a domain is not tried again for a while. The pause grows with each failure. Attempts to reach one
//! domain are made one after another.

use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smol_str::{SmolStr, format_smolstr};
use std::sync::Arc;
use tokio::time::Instant;

use super::failure::{Failure, Scope};
use super::pair::Pair;

/// The failures to reach other domains, in the name of all our domains or of one of them. A domain without failures is
/// in it while it is being tried.
#[derive(Default)]
pub(super) struct Remotes(Mutex<FxHashMap<SmolStr, Arc<Remote>>>);

/// What is known of one domain.
#[derive(Default)]
pub(super) struct Remote {
    /// Held by the task that tries to reach it.
    pub(super) turn: tokio::sync::Mutex<()>,
    failed: Mutex<Option<Failed>>,
    /// Where the last keys came from that were verified although it could not be reached, and when.
    verified: Mutex<Vec<(SmolStr, Instant)>>,
}

#[derive(Clone, Copy)]
struct Failed {
    times: u32,
    until: Instant,
    why: Failure,
}

impl Remotes {
    /// The entry of this domain, which is made if there is none.
    pub(super) fn of(&self, domain: &SmolStr) -> Arc<Remote> {
        let mut all = self.0.lock();
        if all.len() >= MOST && !all.contains_key(domain) {
            // Forgets entries that are not being tried now, and whose pause is over.
            let now = Instant::now();
            all.retain(|_, remote| Arc::strong_count(remote) > 1 || remote.why(now).is_some());
            if all.len() >= MOST {
                all.retain(|_, remote| Arc::strong_count(remote) > 1);
            }
        }
        Arc::clone(all.entry(domain.clone()).or_default())
    }

    /// The entry of this domain in the name of one of our domains.
    fn of_pair(&self, pair: &Pair) -> Arc<Remote> {
        self.of(&key(pair))
    }

    /// Why this domain is not to be tried now.
    pub(super) fn why_not(&self, domain: &str) -> Option<Failure> {
        self.0.lock().get(domain)?.why(Instant::now())
    }

    /// Why none of its keys is to be verified now. Who sends one may be the domain itself, which has come back: so it is asked
    /// although it could not be reached, but not again and again for keys from one address. `from`: the name of the address.
    pub(super) fn why_not_verify(&self, domain: &str, from: &str) -> Option<Failure> {
        let remote = self.0.lock().get(domain).cloned()?;
        let now = Instant::now();
        let why = remote.why(now)?;
        let mut verified = remote.verified.lock();
        verified.retain(|(_, at)| now < *at + BETWEEN_KEYS);
        let is_early =
            verified.len() >= MOST_ADDRESSES || verified.iter().any(|(own, _)| own == from);
        if is_early {
            return Some(why);
        }
        verified.push((from.into(), now));
        None
    }

    /// Why it is not to be tried now in the name of this domain of ours.
    pub(super) fn why_not_pair(&self, pair: &Pair) -> Option<Failure> {
        self.why_not(&pair.remote).or_else(|| self.why_not(&key(pair)))
    }

    /// Notes that it could not be reached. Returns the pause, which holds for all our domains, or for this one.
    pub(super) fn failed(&self, pair: &Pair, why: Failure) -> Duration {
        match why.scope {
            Scope::All => self.of(&pair.remote).failed(why),
            Scope::Pair => {
                self.of(&pair.remote).reached();
                self.of_pair(pair).failed(why)
            }
        }
    }

    /// Forgets the failures of a domain that was reached, or has reached us.
    pub(super) fn forget(&self, pair: &Pair) {
        let all = self.0.lock();
        for key in [&pair.remote, &key(pair)] {
            if let Some(remote) = all.get(key) {
                *remote.failed.lock() = None;
            }
        }
    }

    /// Forgets the failures of a domain, for all domains of ours: an administrator wants it to be tried again.
    pub(super) fn forget_domain(&self, domain: &str) {
        for (key, remote) in &*self.0.lock() {
            let of = key.split_once(' ').map_or(key.as_str(), |(_, remote)| remote);
            if of == domain {
                *remote.failed.lock() = None;
            }
        }
    }
}

impl Remote {
    /// Why this domain is not to be tried at this time.
    pub(super) fn why(&self, now: Instant) -> Option<Failure> {
        (*self.failed.lock()).filter(|failed| now < failed.until).map(|failed| failed.why)
    }

    /// Notes that it could not be reached. Returns the pause.
    pub(super) fn failed(&self, why: Failure) -> Duration {
        let mut failed = self.failed.lock();
        let times = failed.map_or(0, |failed| failed.times) + 1;
        let pause = with_chance(pause(times));
        *failed = Some(Failed { times, until: Instant::now() + pause, why });
        pause
    }

    /// Notes that it was reached.
    pub(super) fn reached(&self) {
        *self.failed.lock() = None;
    }
}

/// The key of a pair. No domain contains a space.
fn key(pair: &Pair) -> SmolStr {
    format_smolstr!("{} {}", pair.local, pair.remote)
}

/// The pause after so many failures in a row.
fn pause(times: u32) -> Duration {
    FIRST.saturating_mul(1 << times.saturating_sub(1).min(10)).min(LONGEST)
}

/// Adds or takes up to a quarter by chance, so that servers do not come back at the same moment.
fn with_chance(pause: Duration) -> Duration {
    let chance = f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX);
    pause.mul_f64(0.75 + chance / 2.0)
}

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(600);
/// Between two keys from one address that are verified of a domain that could not be reached.
const BETWEEN_KEYS: Duration = Duration::from_secs(2);
/// Addresses whose keys are verified of such a domain within this time.
const MOST_ADDRESSES: usize = 16;
/// How many domains are remembered.
const MOST: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_domain_that_fails_is_left_alone_for_longer_and_longer() {
        let remotes = Remotes::default();
        let domain = SmolStr::new("c.example");
        assert_eq!(remotes.why_not("c.example"), None);
        let why = Failure::timeout("no");
        let mut last = Duration::ZERO;
        for times in 1..12 {
            let pause = remotes.of(&domain).failed(why);
            assert!(pause >= last.mul_f64(0.6), "{times}: {pause:?} after {last:?}");
            assert!(pause <= LONGEST.mul_f64(1.25));
            assert_eq!(remotes.why_not("c.example"), Some(why));
            assert_eq!(remotes.why_not("d.example"), None);
            tokio::time::advance(pause).await;
            assert_eq!(remotes.why_not("c.example"), None);
            last = pause;
        }
        assert!(last >= LONGEST.mul_f64(0.75));
        remotes.of(&domain).failed(why);
        remotes.forget(&pair("a.example"));
        assert_eq!(remotes.why_not("c.example"), None);
        assert!(remotes.of(&domain).failed(why) <= FIRST.mul_f64(1.25));
    }

    fn pair(local: &str) -> Pair {
        Pair { local: local.into(), remote: "c.example".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_of_our_domains_has_done_does_not_stop_the_others() {
        let remotes = Remotes::default();
        let (rooms, host) = (pair("rooms.a.example"), pair("a.example"));
        let why = Failure::of_pair("no");
        remotes.failed(&rooms, why);
        assert_eq!(remotes.why_not_pair(&rooms), Some(why));
        assert_eq!(remotes.why_not_pair(&host), None);
        let why = Failure::timeout("no");
        remotes.failed(&host, why);
        assert_eq!(remotes.why_not_pair(&rooms), Some(why));
        remotes.forget(&host);
        assert_eq!(remotes.why_not_pair(&host), None);
        assert!(remotes.why_not_pair(&rooms).is_some());
        remotes.forget_domain("c.example");
        assert_eq!(remotes.why_not_pair(&rooms), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_a_key_is_asked_for_it_although_it_was_not_reached() {
        let remotes = Remotes::default();
        let from = |address: &str| remotes.why_not_verify("c.example", address);
        assert_eq!(from("192.0.2.1"), None);
        let why = Failure::timeout("no");
        remotes.failed(&pair("a.example"), why);
        assert_eq!(from("192.0.2.1"), None);
        assert_eq!(from("192.0.2.1"), Some(why));
        // A stranger who sends keys of the domain does not stand before the domain itself.
        for number in 2..=MOST_ADDRESSES {
            assert_eq!(from(&format!("192.0.2.{number}")), None, "{number}");
        }
        assert_eq!(from("192.0.2.99"), Some(why));
        tokio::time::advance(BETWEEN_KEYS).await;
        assert_eq!(remotes.why_not("c.example"), Some(why));
        assert_eq!(from("192.0.2.1"), None);
        remotes.failed(&pair("a.example"), why);
        assert_eq!(from("192.0.2.1"), Some(why));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_bounded() {
        let remotes = Remotes::default();
        for number in 0..2 * MOST {
            let domain = SmolStr::new(format!("{number}.example"));
            remotes.of(&domain).failed(Failure::timeout("no"));
        }
        assert!(remotes.0.lock().len() <= MOST);
    }
}
