//! The server in a test: ours in this process, or any other over the network.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;
use waxwing::auth::derive_keys;
use waxwing::clock::Clock;
use waxwing::config::Config;
use waxwing::host::{Invalidation, Module};
use waxwing::jid::BareJid;
use waxwing::modules;
use waxwing::payload::datetime::Timestamp;
use waxwing::server::Server;
use waxwing::storage::{Created, MemoryStorage, NewAccount, Storage};
use waxwing::tasks::Tasks;

use super::bosh;
use super::echo::Echo;
use super::faulty::Faulty;
use super::neighbours::{self, Neighbours};
use super::pass::pass;
use super::push::PushServer;
use super::script::{Disk, Persona, Script, Transport};
use super::witness::Witness;

/// What carries bytes to the server and back.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A server that is talked to.
#[async_trait]
pub(crate) trait Target {
    /// A connection to the listener for this kind of transport.
    async fn connect(&self, how: Transport) -> Result<Box<dyn Stream>, String>;
    /// A connection that the server has made to the server of this domain, which the script plays.
    fn accept(&self, domain: &str) -> Option<DuplexStream>;
    /// Makes an account, empty and new.
    async fn add_account(&self, persona: &Persona) -> Result<(), String>;
    /// Lets time pass.
    async fn pass(&self, time: Duration) -> Result<(), String>;
    /// Whether all that has been sent has been dealt with when a timer of the runtime ends, since
    /// time stands still while somebody works.
    fn knows_when_idle(&self) -> bool;
    /// The server ends. After `down`, another one starts with the same data. If the server crashes, it saves nothing
    /// at its end.
    async fn restart(&self, down: Duration, crashes: bool) -> Result<(), String>;
    /// The storage begins to fail in some way, or to work again.
    fn change_storage(&self, to: Disk);
    /// The events that features have been told of since this was last asked.
    fn told(&self) -> Vec<String>;
    /// Ends the server.
    async fn stop(&self) -> Result<(), String>;
}

/// Ours, in this process, over pipes in memory, with a clock that moves when nobody works.
pub(crate) struct InProcess {
    features: Vec<&'static dyn Module>,
    config: Config,
    /// What outlives a server.
    kept: Arc<dyn Storage>,
    clock: Clock,
    /// What outlives a server, too.
    witness: &'static Witness,
    /// The other servers.
    neighbours: Arc<Neighbours>,
    life: Mutex<Life>,
}

/// From one start of the server to its end.
#[derive(Clone)]
struct Life {
    server: Server,
    storage: Arc<Faulty>,
    tasks: Tasks,
}

impl Life {
    async fn begin(
        features: &[&dyn Module],
        config: &Config,
        kept: &Arc<dyn Storage>,
        clock: &Clock,
        neighbours: &Arc<Neighbours>,
    ) -> Result<Self, String> {
        let storage = Arc::new(Faulty::new(Arc::clone(kept)));
        let tasks = Tasks::new();
        let store = Arc::clone(&storage) as Arc<dyn Storage>;
        let (config, clock) = (config.clone(), clock.clone());
        let network = Neighbours::network(neighbours);
        let server = Server::start_with(features, network, config, store, clock, tasks.clone());
        let server = server.await.map_err(|error| error.to_string())?;
        Ok(Self { server, storage, tasks })
    }

    async fn end(&self) -> Result<(), String> {
        let running = self.tasks.stop(Duration::from_secs(60)).await;
        if running.is_empty() { Ok(()) } else { Err(format!("these do not end: {running:?}")) }
    }
}

impl InProcess {
    pub(crate) async fn start(script: &Script) -> Result<Self, String> {
        let mut domains = vec!["localhost"];
        let is_client =
            |c: &&Persona| ![Transport::Component, Transport::Server].contains(&c.transport);
        let of_clients = script.clients.iter().filter(is_client);
        for domain in of_clients.map(Persona::domain).filter(|d| !d.is_empty()) {
            if !domains.contains(&domain) {
                domains.push(domain);
            }
        }
        let hosts: Vec<_> =
            domains.iter().map(|domain| format!("[[host]]\ndomain = \"{domain}\"\n")).collect();
        let neighbours = Neighbours::of(script);
        let s2s = if neighbours.is_empty() { String::new() } else { of_servers() };
        let text = format!("{}\n{s2s}\n{}", script.server.join("\n"), hosts.join(""));
        let mut config = Config::parse(&text, "the script").map_err(|e| e.to_string())?;
        config.data = certificates();
        config.listen.c2s.clear();
        config.listen.c2s_tls.clear();
        config.listen.http.clear();
        config.listen.https.clear();
        config.listen.proxy65.clear();
        config.listen.components.clear();
        config.listen.s2s.clear();
        config.listen.s2s_tls.clear();
        let clock = Clock::manual(Timestamp::from_micros(START));
        let kept = MemoryStorage::new() as Arc<dyn Storage>;
        let witness = Witness::new();
        let mut features = modules::ALL.to_vec();
        features.push(witness);
        if script.has_echo {
            features.push(&Echo);
        }
        if script.has_push {
            features.push(&PushServer);
        }
        let life = Mutex::new(Life::begin(&features, &config, &kept, &clock, &neighbours).await?);
        Ok(Self { features, config, kept, clock, witness, neighbours, life })
    }

    fn life(&self) -> Life {
        self.life.lock().clone()
    }
}

#[async_trait]
impl Target for InProcess {
    async fn connect(&self, how: Transport) -> Result<Box<dyn Stream>, String> {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let listener = match how {
            Transport::Direct => "direct_tls",
            Transport::StartTls | Transport::Tcp => "starttls",
            Transport::WebSocket => "http",
            Transport::Component => "components",
            Transport::Server => "server",
            Transport::Bosh => {
                let server = self.life().server;
                return Ok(Box::new(bosh::bridge(move || {
                    let (ours, theirs) = tokio::io::duplex(1 << 20);
                    server.connect(Box::new(theirs), "http");
                    ours
                })));
            }
        };
        self.life().server.connect(Box::new(theirs), listener);
        Ok(Box::new(ours))
    }

    fn accept(&self, domain: &str) -> Option<DuplexStream> {
        self.neighbours.accept(domain)
    }

    async fn add_account(&self, persona: &Persona) -> Result<(), String> {
        let user = BareJid::parse(persona.bare()).map_err(|error| error.to_string())?;
        let mut keys = derive_keys(&persona.password, 4096).map_err(|error| error.to_string())?;
        if let Some(only) = &persona.keys {
            keys.retain(|keys| format!("SHA-{:?}", keys.hash) == only.replace("SHA-", "SHA-Sha"));
        }
        let account = NewAccount { user, keys, created: self.clock.now(), admin: false };
        match self.kept.accounts().create(&[account]).await.as_deref() {
            Ok([Created::Made]) => Ok(()),
            other => Err(format!("cannot make {}: {other:?}", persona.bare())),
        }
    }

    async fn pass(&self, time: Duration) -> Result<(), String> {
        pass(time).await;
        self.clock.advance(time);
        Ok(())
    }

    fn knows_when_idle(&self) -> bool {
        true
    }

    async fn restart(&self, down: Duration, crashes: bool) -> Result<(), String> {
        let life = self.life();
        if crashes {
            life.storage.die();
        }
        life.end().await?;
        self.pass(down).await?;
        let Self { features, config, kept, clock, neighbours, .. } = self;
        let next = Life::begin(features, config, kept, clock, neighbours).await?;
        *self.life.lock() = next;
        Ok(())
    }

    fn change_storage(&self, to: Disk) {
        let Life { storage, server, .. } = self.life();
        match to {
            Disk::Full => storage.fail(true),
            Disk::NoRosters => {
                storage.hide_rosters();
                // Those of online users are in memory.
                for session in server.state().sessions.all() {
                    server.state().invalidate(&Invalidation::Roster(session.jid().to_bare()));
                }
            }
            Disk::Slow(time) => storage.delay(time),
            Disk::SlowPage(time) => storage.delay_page(time),
            Disk::SlowPublication(time) => storage.delay_publication(time),
            Disk::SlowRemoval(time) => storage.delay_removal(time),
            Disk::SlowWrites(time) => storage.delay_disk(time),
            Disk::Unreadable => storage.hide(),
            Disk::Works => storage.fail(false),
        }
    }

    fn told(&self) -> Vec<String> {
        self.witness.told()
    }

    async fn stop(&self) -> Result<(), String> {
        self.life().end().await
    }
}

/// The configuration for other servers: whom the certificates of scripts are signed by.
fn of_servers() -> String {
    let path = certificates().join("authorities.pem");
    std::fs::write(&path, &neighbours::authority().pem).expect("the directory is our own");
    format!(
        "s2s.enabled = true\ns2s.dane = false\ns2s.posh = false\ns2s.authorities = '{}'",
        path.display()
    )
}

/// Certificates are made once, and read by all that follow. Kept until the process ends.
fn certificates() -> PathBuf {
    static DIRECTORY: OnceLock<tempfile::TempDir> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| tempfile::tempdir().expect("a directory can be made"));
    // One for each thread: nobody reads what another one is about to write.
    let name = format!("{:?}", std::thread::current().id());
    let path = directory.path().join(name.replace(|c: char| !c.is_alphanumeric(), ""));
    std::fs::create_dir_all(&path).expect("a directory can be made in our own");
    path
}

/// Another server: `WAXWING_TEST_SERVER=host:port`, with TLS from the first byte at
/// `WAXWING_TEST_SERVER_TLS`, over WebSocket at `WAXWING_TEST_SERVER_HTTP`. Accounts are made by `WAXWING_TEST_ADD_ACCOUNT`, a command that is
/// given user, domain and password, and makes the account anew if it is there.
pub(crate) struct Remote {
    address: String,
    address_tls: Option<String>,
    address_http: Option<String>,
    add_account: Option<String>,
}

impl Remote {
    pub(crate) fn from_environment() -> Option<Self> {
        let of = |name| std::env::var(name).ok();
        Some(Self {
            address: of("WAXWING_TEST_SERVER")?,
            address_tls: of("WAXWING_TEST_SERVER_TLS"),
            address_http: of("WAXWING_TEST_SERVER_HTTP"),
            add_account: of("WAXWING_TEST_ADD_ACCOUNT"),
        })
    }
}

#[async_trait]
impl Target for Remote {
    async fn connect(&self, how: Transport) -> Result<Box<dyn Stream>, String> {
        let address = match how {
            Transport::Direct => self.address_tls.as_ref(),
            Transport::StartTls | Transport::Tcp => Some(&self.address),
            // A client over BOSH needs more than one connection: only our own server has it.
            Transport::Bosh => return Err("not over BOSH".to_owned()),
            Transport::Component => return Err("components are configured otherwise".to_owned()),
            Transport::Server => return Err("it does not know this server".to_owned()),
            Transport::WebSocket => self.address_http.as_ref(),
        };
        let address = address.ok_or("the address for this transport is not set")?;
        let stream = TcpStream::connect(address).await.map_err(|e| format!("{address}: {e}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Box::new(stream))
    }

    fn accept(&self, _: &str) -> Option<DuplexStream> {
        None
    }

    async fn add_account(&self, persona: &Persona) -> Result<(), String> {
        let Some(command) = &self.add_account else { return Ok(()) };
        let done = Command::new(command)
            .args([persona.user(), persona.domain(), &persona.password])
            .output()
            .map_err(|error| format!("{command}: {error}"))?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        if done.status.success() { Ok(()) } else { Err(format!("{command}: {said}")) }
    }

    async fn pass(&self, _: Duration) -> Result<(), String> {
        Err("its time is not ours".to_owned())
    }

    fn knows_when_idle(&self) -> bool {
        false
    }

    async fn restart(&self, _: Duration, _: bool) -> Result<(), String> {
        Err("it is not ours to restart".to_owned())
    }

    fn change_storage(&self, _: Disk) {}

    fn told(&self) -> Vec<String> {
        Vec::new()
    }

    async fn stop(&self) -> Result<(), String> {
        Ok(())
    }
}

/// When the conversations take place, in microseconds: 2026-07-01T12:00:00Z.
const START: i64 = 1_782_907_200_000_000;
