//! The sessions of BOSH by their ids.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::channel::{BoshChannel, Shared, Waiting};
use super::request::Terms;
use crate::limit::Permit;
use crate::random::random_id;
use crate::tasks::Tasks;
use crate::xml::Limits;

/// The sessions of BOSH by their ids. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    listed: Arc<Mutex<FxHashMap<SmolStr, Entry>>>,
    tasks: Tasks,
}

struct Entry {
    shared: Arc<Shared>,
    /// Counts the session as a connection.
    _permit: Permit,
}

impl Sessions {
    /// No session yet.
    #[must_use]
    pub fn new(tasks: Tasks) -> Self {
        Self { listed: Arc::default(), tasks }
    }

    /// Begins a session: the request that waits for its first answer, and the stream's end. Answers have this
    /// type, if not the usual one (§7.1). Requests are read within these limits until the stream says otherwise.
    #[must_use]
    pub fn begin(
        &self,
        terms: Terms,
        content: Option<HeaderValue>,
        limits: Limits,
        permit: Permit,
    ) -> (Waiting, BoshChannel) {
        // §19.3: nobody guesses it.
        let sid = random_id();
        let (shared, waiting) = Shared::begin(&sid, terms, content, limits);
        let entry = Entry { shared: Arc::clone(&shared), _permit: permit };
        self.listed.lock().insert(sid.clone(), entry);
        let this = self.clone();
        let over = Box::new(move |away| this.end(&sid, away));
        (waiting, BoshChannel::new(shared, self.tasks.stopping(), over))
    }

    /// The session with this id.
    #[must_use]
    pub fn find(&self, sid: &str) -> Option<Arc<Shared>> {
        self.listed.lock().get(sid).map(|entry| Arc::clone(&entry.shared))
    }

    /// The stream has ended. `away`: how long the session stays findable so that the client can be told.
    fn end(&self, sid: &SmolStr, away: Option<Duration>) {
        let (listed, sid) = (Arc::clone(&self.listed), sid.clone());
        let Some(away) = away else {
            listed.lock().remove(&sid);
            return;
        };
        let stopping = self.tasks.stopping();
        let task = async move {
            stopping.run_until_cancelled(tokio::time::sleep(away)).await;
            listed.lock().remove(&sid);
        };
        drop(self.tasks.spawn("bosh-end", task));
    }
}
