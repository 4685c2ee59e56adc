//! The fingerprints of certificates that the web site of a domain names for its server (POSH, RFC 7711).
//!
//! Anybody who connects can have us ask a web site. So each question is bounded in time, bytes and addresses, few are asked at the
//! same time, and what was learned is kept for a while.

mod document;
pub(super) mod known;
mod site;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use self::document::Document;
use self::site::{Answer, Page, Sites};
use super::servers::Servers;
use crate::tls::Fingerprint;

impl Servers {
    /// The fingerprints that the web site of this domain names, from memory if it was asked before.
    ///
    /// # Errors
    /// Why there are none, in words.
    pub(super) async fn fingerprints(
        &self,
        domain: &str,
    ) -> Result<Arc<[Fingerprint]>, &'static str> {
        if let Some(known) = self.posh.get(domain) {
            return known;
        }
        let asked = async {
            // It is never closed.
            let _turn = self.posh.turns.acquire().await.map_err(|_| SLOW)?;
            match self.posh.get(domain) {
                // Somebody else has asked meanwhile.
                Some(known) => known.map(|known| (known, None)),
                None => self.ask(domain).await.map(|(named, life)| (named.into(), Some(life))),
            }
        };
        match timeout(LOOK_UP, asked).await.unwrap_or(Err(SLOW)) {
            Ok((named, None)) => Ok(named),
            Ok((named, Some(life))) => {
                self.posh.insert(domain, Ok(Arc::clone(&named)), life);
                Ok(named)
            }
            Err(why) => {
                tracing::debug!(domain, why, "the web site names no certificate (POSH)");
                self.posh.insert(domain, Err(why), FAILED);
                Err(why)
            }
        }
    }

    /// Asks the web site, and the one to which it delegates (RFC 7711 §3.2). Tells for how long that holds.
    async fn ask(&self, domain: &str) -> Result<(Vec<Fingerprint>, Duration), &'static str> {
        let config = self.server().config.load_full();
        let sites = Sites {
            resolver: &*self.network.resolver,
            fixed: &config.s2s.posh_hosts,
            tls: self.certificates.web_client(),
        };
        let mut page = Page::of(domain)?;
        let (mut life, mut is_delegated) = (MOST_LIFE, false);
        for _ in 0..MOST_PAGES {
            let bytes = match sites.get(&page).await? {
                Answer::Document(bytes) => bytes,
                Answer::Moved(to) => {
                    page = page.join(&to)?;
                    continue;
                }
            };
            match document::read(&bytes)? {
                Document::Fingerprints(named, expires) => return Ok((named, life.min(expires))),
                Document::Elsewhere(..) if is_delegated => {
                    return Err("the web site delegates to one that delegates further");
                }
                Document::Elsewhere(url, expires) => {
                    is_delegated = true;
                    life = life.min(expires);
                    page = page.join(&url)?;
                }
            }
        }
        Err("the web site leads from one page to the next")
    }
}

/// For all pages of a domain: a peer waits for it.
const LOOK_UP: Duration = Duration::from_secs(5);
/// Pages that are read for one domain: its own, a delegation, and a redirect of each.
const MOST_PAGES: usize = 4;
/// However long a document holds, it is read again after this time.
const MOST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// After a failure, the web site is left alone for this time.
const FAILED: Duration = Duration::from_secs(60);
const SLOW: &str = "the web site does not answer";
