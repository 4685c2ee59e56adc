//! The ledger as all share it, and waiting for what it says.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::ledger::{Account, Ledger};

#[derive(Clone)]
pub(crate) struct Book(Arc<Shared>);

struct Shared {
    ledger: Mutex<Ledger>,
    changed: watch::Sender<()>,
}

impl Book {
    pub(crate) fn new(accounts: &[Account]) -> Self {
        let (ledger, changed) = (Mutex::new(Ledger::new(accounts)), watch::Sender::new(()));
        Self(Arc::new(Shared { ledger, changed }))
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Ledger) -> T) -> T {
        read(&self.0.ledger.lock())
    }

    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut Ledger) -> T) -> T {
        let written = write(&mut self.0.ledger.lock());
        self.0.changed.send_replace(());
        written
    }

    /// Something that concerns all.
    pub(crate) fn note(&self, text: String) {
        self.write(|ledger| ledger.note(None, text));
    }

    /// Something that concerns one account.
    pub(crate) fn note_of(&self, account: Account, text: &str) {
        self.write(|ledger| ledger.note(Some(account), format!("{account} {text}")));
    }

    /// Waits until it says so. If it does not, that is a fault.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Ledger) -> bool) {
        self.until_within(PATIENCE, what, is_so).await;
    }

    /// Waits until what was promised to these accounts, who are online, has come.
    pub(crate) async fn until_arrived(&self, accounts: &[Account]) {
        if !self.comes(ARRIVAL, |ledger| ledger.all_arrived(accounts)).await {
            self.write(|ledger| ledger.waited_for(accounts));
        }
    }

    /// As [`Book::until`], for what takes longer.
    pub(crate) async fn until_within(
        &self,
        limit: Duration,
        what: &str,
        is_so: impl Fn(&Ledger) -> bool,
    ) {
        if !self.comes(limit, is_so).await {
            self.write(|ledger| ledger.wrong(format!("after {limit:?}: not yet {what}")));
        }
    }

    /// Whether it says so within this time.
    pub(crate) async fn comes(&self, limit: Duration, is_so: impl Fn(&Ledger) -> bool) -> bool {
        let mut changed = self.0.changed.subscribe();
        let wait = async {
            while !self.read(&is_so) {
                changed.changed().await.expect("it is ours");
                // Many changes are looked at together.
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(limit, wait).await.is_ok()
    }
}

/// Long: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long acknowledged messages may take to users who are online: nothing delays them any more.
const ARRIVAL: Duration = Duration::from_secs(10);
