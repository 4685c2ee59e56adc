//! A server, devices, and a ledger: what the scenarios have in common.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::archive;
use super::book::Book;
use super::chance::{Chance, say};
use super::client::Trouble;
use super::device::{Device, Habits, Phase};
use super::ledger::Account;
use super::server::TestServer;

pub(crate) struct Stage {
    pub(crate) book: Book,
    pub(crate) chance: Chance,
    pub(crate) server: TestServer,
    pub(crate) phase: watch::Sender<Phase>,
    accounts: Vec<Account>,
    devices: JoinSet<Device>,
    _turn: SemaphorePermit<'static>,
}

impl Stage {
    /// A running server with these accounts and lines of the section `[limits]`.
    pub(crate) async fn new(accounts: &[Account], limits: &str, chance: Chance) -> Self {
        let turn = TURNS.acquire().await.expect("it is never closed");
        let book = Book::new(accounts);
        let mut server = TestServer::new(accounts, limits, &book);
        server.start().await;
        Self {
            book,
            chance,
            server,
            phase: watch::Sender::new(Phase::Talk),
            accounts: accounts.to_vec(),
            devices: JoinSet::new(),
            _turn: turn,
        }
    }

    /// A device begins its life, at the server or behind another address.
    pub(crate) fn enter(
        &mut self,
        account: Account,
        habits: Habits,
        address: watch::Receiver<Option<SocketAddr>>,
    ) {
        let device = Device::new(account, habits, &self.book, self.chance.fork());
        self.devices.spawn(device.run(address, self.phase.subscribe()));
    }

    /// The devices may send so many more messages, and then wait.
    pub(crate) fn allow(&self, more: usize) {
        self.book.write(|ledger| ledger.quota = ledger.sent_count() + more);
        self.phase.send_replace(Phase::Talk); // wakes them
    }

    /// Waits until everything that was sent has been answered for, and what was promised to these
    /// accounts has come. Then all devices leave.
    pub(crate) async fn settle(&mut self, online: &[Account]) {
        self.until_told().await;
        self.book.until_arrived(online).await;
        self.all_leave().await;
    }

    /// Nothing new is sent. Waits until everything that was sent has been answered for.
    pub(crate) async fn until_told(&self) {
        self.phase.send_replace(Phase::Settle);
        self.book.until("acknowledged all that was sent", |ledger| ledger.all_told()).await;
    }

    /// All devices close their streams.
    pub(crate) async fn all_leave(&mut self) {
        self.phase.send_replace(Phase::Leave);
        let left = timeout(LEAVING, async {
            while let Some(device) = self.devices.join_next().await {
                drop(device.expect("a device does not panic"));
            }
        });
        if left.await.is_err() {
            self.book.write(|ledger| ledger.wrong("the devices cannot leave".to_owned()));
            self.devices.shutdown().await;
        }
    }

    /// Each account logs in once more: what still waits for it comes now. Then its archive is read,
    /// if there is one.
    pub(crate) async fn last_look(&mut self) {
        for account in self.accounts.clone() {
            self.visit(account).await;
        }
        for account in self.accounts.clone() {
            let Some(address) = *self.server.address().borrow() else { return };
            let read = archive::read(address, account, &self.book).await;
            self.complain(account, read);
        }
    }

    /// An account logs in, takes what waits for it, and leaves.
    pub(crate) async fn visit(&mut self, account: Account) {
        let Some(address) = *self.server.address().borrow() else { return };
        let mut device = Device::new(account, Habits::default(), &self.book, self.chance.fork());
        let visited = device.visit(address).await;
        self.complain(account, visited);
    }

    /// Notes if something failed that nobody disturbs.
    pub(crate) fn complain(&self, account: Account, done: Result<(), Trouble>) {
        if let Err(trouble) = done {
            self.book.write(|ledger| ledger.wrong(format!("a visit of {account}: {trouble:?}")));
        }
    }

    /// Ends the server, says what there was, and fails if the promise was not kept.
    pub(crate) async fn judge(mut self, name: &str, more: &str) {
        self.server.terminate().await;
        let panics = self.server.panics();
        self.book.read(|ledger| {
            let verdict = ledger.verdict();
            say(&format!(
                "{name}: {} messages, {more}, {} resumed, {} not resumed, {} refused, {} came \
                 twice with one stanza-id, {} sent twice by their sender, {} in the archive only",
                ledger.sent_count(),
                ledger.resumed,
                ledger.not_resumed,
                verdict.refused,
                verdict.repeated,
                verdict.sent_again,
                verdict.in_archive_only,
            ));
            assert!(
                verdict.faults.is_empty() && panics.is_empty(),
                "{name}: {}\nThe log of the server:\n{}{}",
                ledger.story(&verdict),
                panics.join("\n"),
                self.server.log_tail(),
            );
        });
    }
}

/// As many stages at a time as there are processors: each keeps one busy, and a server that waits for its turn to end does not end in
/// the time that it has.
static TURNS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, usize::from)));
/// For the devices to close their streams. Long: the machine may be busy.
const LEAVING: Duration = Duration::from_secs(40);
