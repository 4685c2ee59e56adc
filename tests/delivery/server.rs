//! The built program on a data directory of its own: started, killed, ended, started again.

use std::fs::DirBuilder;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::book::Book;
use super::client::PASSWORD;
use super::ledger::Account;

/// A server. Killed if the test fails.
pub(crate) struct TestServer {
    place: TempDir,
    book: Book,
    running: Option<Running>,
    /// Where it listens; `None` while it does not run.
    address: watch::Sender<Option<SocketAddr>>,
    log: Log,
}

type Log = Arc<Mutex<Vec<String>>>;

struct Running {
    child: Child,
    /// Its log has ended.
    ended: oneshot::Receiver<()>,
    /// Changes with each line of its log, and closes at the end of it.
    lines: watch::Receiver<()>,
}

impl TestServer {
    /// With these accounts, and lines of the section `[limits]`. Not started yet.
    pub(crate) fn new(accounts: &[Account], limits: &str, book: &Book) -> Self {
        let place = tempfile::tempdir().unwrap();
        let config = format!(
            "data = \"data\"\n[[host]]\ndomain = \"localhost\"\n\
             [listen]\nc2s = [\"127.0.0.1:0\"]\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n\
             [log]\nformat = \"json\"\nlevel = \"info\"\n\
             [auth]\niterations = 4096\nslow_addresses = false\n\
             [limits]\noffline_messages = 1_000_000\ninbox_stanzas = 65_536\n\
             inbox_bytes = \"256 MiB\"\nunacknowledged = 1_000_000\n\
             unacknowledged_bytes = \"256 MiB\"\n{limits}\n"
        );
        std::fs::write(place.path().join("waxwing.toml"), config).unwrap();
        DirBuilder::new().mode(0o700).create(place.path().join("data")).unwrap();
        let server = Self {
            place,
            book: book.clone(),
            running: None,
            address: watch::Sender::new(None),
            log: Log::default(),
        };
        let lines: String = accounts.iter().map(|user| format!("{user} {PASSWORD}\n")).collect();
        let mut import = server.command(&["user", "import"]);
        let mut child = import.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "the accounts cannot be made");
        server
    }

    pub(crate) async fn start(&mut self) {
        let mut child =
            self.command(&["serve"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (said, address) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let (another, changed) = watch::channel(());
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::clone(&self.log);
        std::thread::spawn(move || {
            let mut said = Some(said);
            for line in lines.map_while(Result::ok) {
                let address = address_in(&line);
                log.lock().push(line);
                another.send_replace(());
                if let (Some(address), Some(said)) = (address, said.take_if(|_| address.is_some()))
                {
                    said.send(address).ok(); // a test that failed does not listen
                }
            }
            end.send(()).ok();
        });
        self.running = Some(Running { child, ended, lines: changed });
        match timeout(PATIENCE, address).await {
            Ok(Ok(address)) => {
                self.address.send_replace(Some(address));
                self.book.note("the server runs".to_owned());
            }
            _ => panic!("the server does not start\n{}", self.log_tail()),
        }
    }

    /// SIGKILL. Gone when this returns.
    pub(crate) async fn kill(&mut self) {
        self.book.write(|ledger| ledger.killed());
        self.address.send_replace(None);
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// SIGTERM: it ends in good order.
    pub(crate) async fn terminate(&mut self) {
        self.book.note("SIGTERM".to_owned());
        self.signal(Signal::TERM);
        let status = self.ended().await;
        self.address.send_replace(None);
        if !status.is_some_and(|status| status.success()) {
            let text = format!("the server does not end well: {status:?}");
            self.book.write(|ledger| ledger.wrong(text));
        }
    }

    /// SIGTERM, and SIGKILL as soon as it says that the sessions are saved.
    pub(crate) async fn terminate_and_kill(&mut self) {
        self.book.note("SIGTERM, and SIGKILL".to_owned());
        self.book.write(|ledger| ledger.killed());
        let before = self.log.lock().len();
        self.signal(Signal::TERM);
        let mut lines = self.running.as_ref().expect("it runs").lines.clone();
        let log = Arc::clone(&self.log);
        let saved = async {
            let has_saved = |line: &String| line.contains("saved sessions for the next start");
            // Without sessions it says nothing, and its log ends.
            let is_over = || log.lock()[before..].iter().any(has_saved);
            while !is_over() && lines.changed().await.is_ok() {}
        };
        if timeout(PATIENCE, saved).await.is_err() {
            self.book.write(|ledger| ledger.wrong("it does not say that it has saved".to_owned()));
        }
        self.address.send_replace(None);
        self.running.as_mut().expect("it runs").child.kill().unwrap();
        self.ended().await;
    }

    fn signal(&self, signal: Signal) {
        let child = &self.running.as_ref().expect("it runs").child;
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// Waits for its end, without holding up the clients. `None`: it goes on, and is killed.
    async fn ended(&mut self) -> Option<ExitStatus> {
        let Running { mut child, ended, .. } = self.running.take()?;
        let in_time = timeout(PATIENCE, ended).await.is_ok();
        if !in_time {
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        in_time.then_some(status)
    }

    /// Files cannot grow beyond so many bytes. `None`: as they like.
    pub(crate) fn limit_files(&self, current: Option<u64>) {
        self.book.note(format!("files end at {current:?} bytes"));
        let child = &self.running.as_ref().expect("it runs").child;
        let limit = Rlimit { current, maximum: None };
        prlimit(Some(Pid::from_child(child)), Resource::Fsize, limit).unwrap();
    }

    /// Bytes of its largest file.
    pub(crate) fn largest_file(&self) -> u64 {
        let files = std::fs::read_dir(self.place.path().join("data")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).max().unwrap_or_default()
    }

    /// What `waxwing status` says.
    pub(crate) fn status(&self) -> Value {
        let out = self.command(&["status", "--json"]).output().unwrap();
        serde_json::from_slice(&out.stdout).unwrap_or_default()
    }

    /// Where it listens, from start to start.
    pub(crate) fn address(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.address.subscribe()
    }

    /// Lines of the log that tell of a panic.
    pub(crate) fn panics(&self) -> Vec<String> {
        self.log.lock().iter().filter(|line| line.contains("panic")).cloned().collect()
    }

    /// The last lines of the log that are no logins.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log.lock();
        let lines: Vec<_> = log.iter().filter(|line| !line.contains("\"INFO\"")).collect();
        let last = lines.len().saturating_sub(20);
        lines[last..].iter().map(|line| format!("{}\n", &line[..line.len().min(400)])).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        // Another build can be asked, too: an old one, or one from elsewhere.
        let program = std::env::var("WAXWING_PROOF_PROGRAM");
        let program = program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_waxwing").to_owned());
        let mut command = Command::new(program);
        command.current_dir(self.place.path()).args(arguments);
        command.env_remove("WAXWING_CONFIG").env_remove("WAXWING_DATA").stdin(Stdio::null());
        command
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(Running { child, .. }) = &mut self.running {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The address, if this line of the log says where it listens.
fn address_in(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    // "starttls 127.0.0.1:5222", as there is one listener.
    let is_ready = line["message"] == "server started";
    is_ready.then(|| line["listeners"].as_str()?.rsplit(' ').next()?.parse().ok())?
}

/// For starting and ending. Long: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);
