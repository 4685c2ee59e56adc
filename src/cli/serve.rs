//! `serve`: opens everything in order, runs the server until a signal comes, and closes everything in the
//! opposite order.
//!
//! The log goes to standard error or journald. Only the first password goes to standard output.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::net::UnixStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::arguments::Options;
use super::exit::{Exit, Problem};
use super::first_run;
use super::instance::{self, Place};
use crate::admin::{password, socket};
use crate::clock::Clock;
use crate::config::Config;
use crate::host::Invalidation;
use crate::host::command::CommandCx;
use crate::jid::BareJid;
use crate::log::{self, LogHandle};
use crate::server::Server;
use crate::storage::{self, DataLock, NewAccount, Storage};
use crate::tasks::Tasks;
use crate::tls;

/// Runs the server until it ends.
pub(super) fn run(options: &Options) -> Result<Exit, Problem> {
    let place = instance::find(options)?;
    let log = log::init(&place.config.log)
        .map_err(|error| Problem::new(Exit::Configuration, error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(&place, options, &log));
    // The program does not wait for blocking threads that still run (derivations of keys).
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

async fn serve(place: &Place, options: &Options, log: &LogHandle) -> Result<Exit, Problem> {
    // Signals are handled first, so that one that comes during the start is not lost.
    let mut signals = Signals::listen()?;
    let begun = Instant::now();
    let config = &place.config;
    let Some(_lock) = lock(place, &mut signals).await? else { return Ok(Exit::Ok) };
    place.remember()?;
    if let Some(note) = instance::here_alone(config).filter(|_| place.file.is_some()) {
        tracing::warn!("{note}");
    }
    let tasks = Tasks::new();
    let storage = storage::open(config, &tasks).await?;
    let ended = match start(place, Arc::clone(&storage), &tasks).await {
        Ok(server) => {
            log_start(place, &server);
            log_warnings(&place.config);
            tell(&[NotifyState::Ready]);
            let signal = loop {
                match signals.next().await {
                    Order::Reload => reload(options, log, &server),
                    Order::End(signal) => break signal,
                }
            };
            Ok(signal)
        }
        Err(problem) => Err(problem),
    };
    tell(&[NotifyState::Stopping]);
    tokio::select! {
        left = tasks.stop(GOODBYE) => {
            for (kind, count) in left {
                tracing::warn!(kind, count, "still running at the end");
            }
        }
        () = signals.end() => tracing::warn!("second signal: stopping immediately"),
    }
    storage.close().await;
    let uptime_seconds = begun.elapsed().as_secs();
    match ended {
        Ok(reason) => {
            tracing::info!(reason, uptime_seconds, "server stopped");
            Ok(Exit::Ok)
        }
        Err(problem) => {
            tracing::error!(reason = problem.message, uptime_seconds, "server did not start");
            Err(problem)
        }
    }
}

fn log_warnings(config: &Config) {
    for warning in config.warnings() {
        tracing::warn!(warning, "doubtful configuration");
    }
}

/// Logs one line with the most important facts: version, domains, files, and listening addresses.
fn log_start(place: &Place, server: &Server) {
    let domains: Vec<_> = server.state().hosts().iter().map(|host| host.domain.as_str()).collect();
    let listeners = server.addresses().iter();
    let listeners = listeners.map(|(listener, address)| format!("{} {address}", listener.name));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        domains = domains.join(", "),
        config = place.file.as_ref().map_or("none".into(), |file| file.display().to_string()),
        data = %place.config.data.display(),
        listeners = listeners.collect::<Vec<_>>().join(", "),
        "server started"
    );
}

/// Locks the data directory. `None` if a signal comes before it is locked.
async fn lock(place: &Place, signals: &mut Signals) -> Result<Option<DataLock>, Problem> {
    let data = &place.config.data;
    // The other server answers, so it is not about to end.
    let patience = match UnixStream::connect(place.config.admin_socket()).await {
        Ok(_) => Duration::ZERO,
        Err(_) => PATIENCE,
    };
    let lock = DataLock::acquire(data, "serve", patience, |holder| {
        tracing::info!(data = %data.display(), holder, "waiting for the data directory");
    });
    let lock = tokio::select! {
        lock = lock => lock?,
        () = signals.end() => return Ok(None),
    };
    for mended in lock.mended() {
        tracing::warn!("{mended}");
    }
    Ok(Some(lock))
}

async fn start(place: &Place, storage: Arc<dyn Storage>, tasks: &Tasks) -> Result<Server, Problem> {
    let clock = Clock::system();
    let config = Arc::new(place.config.clone());

    let started =
        Server::start(place.config.clone(), Arc::clone(&storage), clock.clone(), tasks.clone());
    let server = started.await.map_err(|error| Problem::new(Exit::Failed, error.to_string()))?;
    let panics = server.state().metrics.panics.clone();
    log::install_panic_hook(move || {
        panics.inc();
    });

    let path = config.admin_socket();
    let state = Arc::clone(server.state());
    let contexts = Arc::new(move |caller| CommandCx::in_server(&state, caller));
    socket::serve(contexts, path.clone(), tasks).await.map_err(|e| {
        Problem::new(Exit::Failed, format!("cannot open the admin socket {}: {e}", path.display()))
    })?;
    // This comes after the listeners: if the start fails (a port is in use), the password must not be
    // lost.
    welcome_newcomer(place, &server, &*storage, &clock).await?;
    Ok(server)
}

/// Reads the configuration again. If it is invalid, the old one stays in use.
fn reload(options: &Options, log: &LogHandle, server: &Server) {
    let now = NotifyState::monotonic_usec_now().unwrap_or(NotifyState::MonotonicUsec(0));
    tell(&[NotifyState::Reloading, now]);
    match instance::find(options) {
        // The log is changed last: if a certificate is invalid, nothing changes.
        Ok(place) => match server.reload(place.config) {
            Ok(config) => {
                log_warnings(&config);
                if let Err(error) = log.reload(&config.log) {
                    tracing::error!(%error, "invalid log level: the old one stays");
                }
            }
            Err(error) => {
                tracing::error!(%error, "invalid certificate: the old configuration stays")
            }
        },
        Err(problem) => {
            tracing::error!(error = problem.message, "invalid configuration: the old one stays")
        }
    }
    tell(&[NotifyState::Ready]);
}

/// Creates the first account of a server without accounts, an administrator, and prints its password.
async fn welcome_newcomer(
    place: &Place,
    server: &Server,
    storage: &dyn Storage,
    clock: &Clock,
) -> Result<(), Problem> {
    let failed = |error: &dyn std::fmt::Display| Problem::new(Exit::Failed, error.to_string());
    let accounts = storage.accounts();
    if accounts.count(None).await? > 0 {
        return Ok(());
    }
    let user = BareJid::from_parts(Some("admin"), &place.default_domain)
        .map_err(|error| failed(&error))?;
    let secret = password::random().map_err(|error| failed(&error))?;
    let keys = server.state().derivations.keys(&secret, place.config.auth.iterations);
    let keys = keys.await.map_err(|error| failed(&error))?;
    let account = NewAccount { user: user.clone(), keys, created: clock.now(), admin: true };
    accounts.create(&[account]).await?;
    server.state().invalidate(&Invalidation::Admins);
    let program = std::env::args().next().unwrap_or_else(|| "waxwing".to_owned());
    let directory = std::env::current_dir().unwrap_or_default();
    let made = place.config.host(user.domain()).is_some_and(|host| host.certificate.is_none());
    let facts = server.certificates().into_iter().find(|facts| facts.domain == user.domain());
    let file = tls::kept_certificate(&place.config, user.domain());
    let text = first_run::text(&first_run::Newcomer {
        place,
        program: &program,
        directory: &directory,
        address: &user,
        password: &secret,
        certificate: file.zip(facts.map(|facts| facts.sha256)).filter(|_| made),
    });
    let mut out = io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        tracing::warn!(jid = %user, "cannot print the first password; set another with `user passwd`");
    }
    Ok(())
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Order {
    /// The signal with this name.
    End(&'static str),
    Reload,
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        // By default, a write beyond `ulimit -f` ends the program. If the signal is handled, the write
        // fails with an error instead.
        drop(signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?);
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.hangup.recv() => Order::Reload,
            _ = self.interrupt.recv() => Order::End("SIGINT"),
            _ = self.terminate.recv() => Order::End("SIGTERM"),
        }
    }

    async fn end(&mut self) {
        while self.next().await == Order::Reload {}
    }
}

/// How long to wait for a command, or for a server that ends, to unlock the data directory.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long connections may take to close their streams.
const GOODBYE: Duration = Duration::from_secs(20);
