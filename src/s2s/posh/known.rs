//! What web sites have named, for as long as it holds.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::tls::Fingerprint;

type Named = Result<Arc<[Fingerprint]>, &'static str>;

/// What is known of the web sites of some domains.
pub(in crate::s2s) struct Known {
    named: Mutex<FxHashMap<SmolStr, (Instant, Named)>>,
    /// One for each domain whose web site is being asked.
    pub(super) turns: Semaphore,
}

impl Default for Known {
    fn default() -> Self {
        Self { named: Mutex::default(), turns: Semaphore::new(TURNS) }
    }
}

impl Known {
    /// What the web site of this domain has named, if that still holds.
    pub(super) fn get(&self, domain: &str) -> Option<Named> {
        let known = self.named.lock();
        let (until, named) = known.get(domain)?;
        (Instant::now() < *until).then(|| named.clone())
    }

    /// Notes it for this time. If there are too many, the one whose time is over first is forgotten.
    pub(super) fn insert(&self, domain: &str, named: Named, life: Duration) {
        let (mut known, now) = (self.named.lock(), Instant::now());
        if known.len() >= MOST {
            known.retain(|_, (until, _)| now < *until);
        }
        if known.len() >= MOST {
            let first = known.iter().min_by_key(|(_, (until, _))| *until);
            let first = first.map(|(domain, _)| domain.clone());
            first.map(|domain| known.remove(&domain));
        }
        known.insert(domain.into(), (now + life, named));
    }
}

/// Domains that are asked at the same time.
const TURNS: usize = 16;
/// Domains of which something is known.
const MOST: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_forgotten_in_time() {
        let known = Known::default();
        known.insert("a.example", Err("a"), Duration::from_secs(10));
        known.insert("b.example", Ok(Arc::from([])), Duration::from_secs(20));
        assert_eq!(known.get("a.example"), Some(Err("a")));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(known.get("a.example"), None);
        assert!(known.get("b.example").is_some_and(|named| named.is_ok()));
        for number in 0..2 * MOST {
            known.insert(&format!("{number}.example"), Err("x"), Duration::from_secs(30));
        }
        assert_eq!(known.named.lock().len(), MOST);
        assert_eq!(known.get("b.example"), None);
    }
}
