//! The forms that were sent lately, with what was answered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::layout::Instead;

/// The forms that were sent lately.
#[derive(Default)]
pub(super) struct Sent(Mutex<HashMap<Key, Once>>);

/// The SHA-256 of a form: its path, the host, the cookie, and the fields.
pub(super) type Key = [u8; 32];

/// A form that was sent.
struct Once {
    at: Instant,
    answer: Arc<OnceCell<Answer>>,
}

/// What was answered.
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Sent {
    pub(super) fn of(&self, key: Key) -> Arc<OnceCell<Answer>> {
        let (now, mut all) = (Instant::now(), self.0.lock());
        all.retain(|_, form| now.duration_since(form.at) < KEPT);
        if all.len() >= MOST && !all.contains_key(&key) {
            let oldest = all.iter().min_by_key(|(_, form)| form.at).map(|(key, _)| *key);
            oldest.and_then(|key| all.remove(&key));
        }
        let new = || Once { at: now, answer: Arc::default() };
        Arc::clone(&all.entry(key).or_insert_with(new).answer)
    }

    /// Forgets a form that was not carried out, so that it may be sent again.
    pub(super) fn forget(&self, key: &Key) {
        let mut all = self.0.lock();
        if all.get(key).is_some_and(|form| !form.answer.initialized()) {
            all.remove(key);
        }
    }
}

impl Answer {
    /// # Errors
    /// The answer itself, if the form was not done.
    pub(super) async fn of(response: Response) -> Result<Self, Instead> {
        if !response.status().is_success() && !response.status().is_redirection() {
            return Err(Box::new(response));
        }
        let (head, body) = response.into_parts();
        let body = to_bytes(body, MOST_BYTES)
            .await
            .map_err(|_| Box::new(StatusCode::INTERNAL_SERVER_ERROR.into_response()))?;
        Ok(Self { status: head.status, headers: head.headers, body })
    }

    pub(super) fn response(&self) -> Response {
        (self.status, self.headers.clone(), self.body.clone()).into_response()
    }
}

/// How long a form that comes again gets the same answer.
const KEPT: Duration = Duration::from_secs(60);
/// Forms that are remembered: some megabytes.
const MOST: usize = 1000;
/// Bytes of an answer. Ours have a few thousand.
const MOST_BYTES: usize = 64 * 1024;
