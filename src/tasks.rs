//! Tasks. Each one has a name, is counted, and is awaited when the server ends.

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
    ending: CancellationToken,
    running: Arc<Mutex<FxHashMap<&'static str, usize>>>,
}

impl Tasks {
    /// An empty set of tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task. `name` is its kind (for example `c2s`, `hibernation`); tasks are counted by kind.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let guard = Counted::enter(name, Arc::clone(&self.running));
        // Boxed. Otherwise the future would occur twice: as a captured value and as the awaited future.
        let task = Box::pin(task);
        self.tracker.spawn(async move {
            let _guard = guard;
            task.await
        })
    }

    /// A token that is cancelled when the server must end. Listeners stop, and sessions end.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// A token that is cancelled some moments after [`Tasks::stopping`]: when all sessions have ended and their contacts
    /// were told. Streams to other servers end, by which they were told.
    #[must_use]
    pub fn ending(&self) -> CancellationToken {
        self.ending.clone()
    }

    /// Counts something of this kind as running, as long as the guard exists.
    #[must_use]
    pub fn counted(&self, name: &'static str) -> Counted {
        Counted::enter(name, Arc::clone(&self.running))
    }

    /// Tells every task to end and waits for `limit` at most.
    ///
    /// Returns the kinds of the tasks that still run, with their numbers; empty if all have ended.
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

/// Counts as running while it exists: see [`Tasks::counted`].
#[derive(Debug)]
pub struct Counted {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Tasks;

    #[tokio::test(start_paused = true)]
    async fn tasks_are_counted_by_kind_while_they_run() {
        let tasks = Tasks::new();
        let stop = tasks.stopping();
        for _ in 0..3 {
            drop(tasks.spawn("c2s", stop.clone().cancelled_owned()));
        }
        let short = tasks.spawn("login", async { 7 });
        assert_eq!((tasks.count("c2s"), tasks.count("login"), tasks.count("other")), (3, 1, 0));
        assert_eq!(short.await.unwrap(), 7);
        assert_eq!((tasks.count("c2s"), tasks.count("login")), (3, 0));
        assert_eq!(tasks.stop(Duration::from_secs(5)).await, []);
        assert_eq!(tasks.count("c2s"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_end_is_named_after_the_limit() {
        let tasks = Tasks::new();
        drop(tasks.spawn("deaf", std::future::pending::<()>()));
        drop(tasks.spawn("c2s", tasks.stopping().cancelled_owned()));
        let before = tokio::time::Instant::now();
        assert_eq!(tasks.stop(Duration::from_secs(5)).await, [("deaf", 1)]);
        assert_eq!(before.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_or_is_aborted_is_counted_no_more() {
        let tasks = Tasks::new();
        let fault = "as a fault in our code would";
        let failed = tasks.spawn("c2s", async move {
            if !fault.is_empty() {
                std::panic::resume_unwind(Box::new(fault));
            }
        });
        assert!(failed.await.unwrap_err().is_panic());
        let aborted = tasks.spawn("c2s", std::future::pending::<()>());
        aborted.abort();
        assert!(aborted.await.unwrap_err().is_cancelled());
        assert_eq!(tasks.count("c2s"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clone_is_the_same_set_of_tasks() {
        let tasks = Tasks::new();
        let clone = tasks.clone();
        drop(clone.spawn("c2s", clone.stopping().cancelled_owned()));
        assert_eq!(tasks.count("c2s"), 1);
        assert_eq!(tasks.stop(Duration::from_secs(5)).await, []);
        assert!(clone.stopping().is_cancelled());
    }
}
