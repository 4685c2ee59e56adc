//! The records of stanzas in the log (docs/operations.md), for tests that look at them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// The log of this thread, from [`Records::begin`] on.
pub(crate) struct Records {
    log: Log,
    _subscriber: DefaultGuard,
}

#[derive(Clone, Default)]
struct Log(Arc<(Mutex<Vec<String>>, Notify)>);

impl Records {
    pub(crate) fn begin() -> Self {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .without_time()
            .with_writer(log.clone());
        let _subscriber = tracing::subscriber::set_default(subscriber.finish());
        Self { log, _subscriber }
    }

    /// All lines that say what becomes of a stanza.
    pub(crate) fn all(&self) -> Vec<String> {
        let lines = self.log.0.0.lock();
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
                let logged = self.log.0.1.notified();
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

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl io::Write for Log {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.0.lock().push(String::from_utf8_lossy(record).into_owned());
        self.0.1.notify_one();
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// For what is logged by another task.
const PATIENCE: Duration = Duration::from_secs(30);
