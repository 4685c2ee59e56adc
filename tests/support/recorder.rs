//! The records of stanzas in the log (docs/operations.md), for tests that look at them.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Once};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The records of this thread, from [`Records::begin`] to the end of this.
pub(crate) struct Records(Log);

#[derive(Clone, Default)]
struct Log(Arc<(Mutex<Vec<String>>, Notify)>);

thread_local! {
    static LOG: RefCell<Option<Log>> = const { RefCell::new(None) };
}

impl Records {
    pub(crate) fn begin() -> Self {
        // One subscriber for all threads and until the end: while a subscriber comes or goes, records of others are lost.
        static BEGUN: Once = Once::new();
        BEGUN.call_once(|| {
            let filter = filter_fn(|it| it.is_span() || it.target() == "waxwing::stanza")
                .with_max_level_hint(tracing::Level::DEBUG);
            let layer = tracing_subscriber::fmt::layer()
                .with_ansi(false)
                .without_time()
                .with_writer(OfThread)
                .with_filter(filter);
            tracing_subscriber::registry().with(layer).init();
        });
        let log = Log::default();
        LOG.set(Some(log.clone()));
        Self(log)
    }

    /// All lines that say what becomes of a stanza.
    pub(crate) fn all(&self) -> Vec<String> {
        let lines = self.0.0.0.lock();
        let is_record = |line: &&String| line.contains("waxwing::stanza: ");
        lines.iter().filter(is_record).map(|line| line.trim_end().to_owned()).collect()
    }

    /// The filter: the records of Romeo's stanza with this id, without its span. An answer of the server has
    /// the same id. The copy in the sender's archive is no end.
    pub(crate) fn of(&self, id: &str) -> Vec<String> {
        let id = format!("id=\"{id}\"");
        let is_wanted = |line: &String| line.contains(&id) && line.contains("from=\"romeo@");
        let lines = self.all().into_iter().filter(is_wanted);
        let ends =
            lines.filter_map(|line| Some(line.split_once("waxwing::stanza: ")?.1.to_owned()));
        ends.filter(|end| !end.starts_with("archived for the sender")).collect()
    }

    /// Waits until something was logged.
    pub(crate) async fn until(&self, is_there: impl Fn() -> bool) {
        let waits = async {
            loop {
                let logged = self.0.0.1.notified();
                if is_there() {
                    return;
                }
                logged.await;
            }
        };
        let came = timeout(PATIENCE, waits).await;
        assert!(came.is_ok(), "it is not logged: {:#?}", self.all());
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        LOG.set(None);
    }
}

/// Writes into the log of the thread, if it has one.
struct OfThread;

impl MakeWriter<'_> for OfThread {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl io::Write for OfThread {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        LOG.with_borrow(|log| {
            if let Some(log) = log {
                log.0.0.lock().push(String::from_utf8_lossy(record).into_owned());
                log.0.1.notify_one();
            }
        });
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// For what is logged by another task.
const PATIENCE: Duration = Duration::from_secs(30);
