//! Tasks: everything that has a life is named, counted and awaited at the end.

use std::future::Future;
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Spawns tasks and waits for them at shutdown. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    running: Arc<Mutex<FxHashMap<&'static str, usize>>>,
}

impl Tasks {
    /// An empty set of tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task. `name` is its kind (`c2s`, `hibernation`), by which it is counted.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let guard = Counted::enter(name, Arc::clone(&self.running));
        // Boxed, or it would be there twice: as what the block has caught, and as what it awaits.
        let task = Box::pin(task);
        self.tracker.spawn(async move {
            let _guard = guard;
            task.await
        })
    }

    /// Cancelled when the server is to end. Listeners stop, sessions say goodbye.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Tells every task to end and waits for `limit` at most.
    ///
    /// Returns the kinds of those still running, with their number; empty when all have ended.
    pub async fn stop(&self, limit: Duration) -> Vec<(&'static str, usize)> {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(limit, self.tracker.wait()).await.is_ok() {
            return Vec::new();
        }
        self.running.lock().iter().filter(|(_, n)| **n > 0).map(|(k, n)| (*k, *n)).collect()
    }

    /// How many tasks of this kind are running.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.running.lock().get(name).copied().unwrap_or(0)
    }
}

struct Counted {
    name: &'static str,
    running: Arc<Mutex<FxHashMap<&'static str, usize>>>,
}

impl Counted {
    fn enter(name: &'static str, running: Arc<Mutex<FxHashMap<&'static str, usize>>>) -> Self {
        *running.lock().entry(name).or_default() += 1;
        Self { name, running }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(n) = self.running.lock().get_mut(self.name) {
            *n -= 1;
        }
    }
}
