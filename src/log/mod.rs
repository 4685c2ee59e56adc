//! The log: set up once, its level changed while running, one record one line.
//!
//! The thing one would get wrong: values come from strangers. A line feed would forge a record, an
//! ESC would command the terminal of whoever reads it, a right-to-left mark would turn it
//! round. So every format escapes every value (`format.rs`, `journald.rs`), and no message has a value in it.
//! Bodies and credentials are logged at no level; whole stanzas go through [`Redacted`].
//!
//! The names of fields, for all modules; the same thing has the same name everywhere:
//!
//! | field | what |
//! |---|---|
//! | `stream` | id of the stream (RFC 6120 §4.7.3) |
//! | `host` | domain of ours |
//! | `peer`, `port` | IP address and port of the other side |
//! | `jid` | whose doing it is |
//! | `to`, `from`, `kind`, `id`, `ns`, `xep`, `node` | of a stanza |
//! | `account`, `mechanism` | of a login |
//! | `error` | the cause, for the administrator |
//! | `condition` | what the peer is told: a stanza, stream or SASL condition |
//! | `file`, `until` | a path, a date |
//! | `uid`, `command`, `arguments`, `outcome` | who of this machine gave which command, and what came of it |
//! | `version`, `domains`, `config`, `data`, `listeners` | of the server, at its start |
//! | `reason`, `uptime_seconds` | why something ended, and after how long |
//! | `warning` | what is likely wrong |
//! | `location`, `backtrace` | a place in our code |
//! | `elapsed_ms`, `bytes`, `count` | numbers |
//! | `xml` | a stanza, redacted |

mod format;
mod journald;
mod redact;

use std::fmt;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::panic::PanicHookInfo;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::NoSubscriber;
use tracing::{Subscriber, error, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

pub use self::redact::{Redacted, redact};

use self::format::{Fields, Printable};
use self::journald::{JournalEvent, JournalSocket, Lines};
use crate::config::{LogConfig, LogFormat};

/// Changes the level while running.
#[derive(Clone)]
pub struct LogHandle(reload::Handle<Targets, Registry>);

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// There is a log already.
    #[error("the log has been set up already")]
    Already,
    /// journald does not listen.
    #[error(
        "journald cannot be reached: {0}; set `format = \"text\"` under [log] if there is none"
    )]
    Journald(std::io::Error),
    /// The level is none.
    #[error(
        "\"{0}\" is no level for the log: write error, warn, info, debug or trace, \
         or a list like \"info,waxwing::c2s=debug\""
    )]
    Level(String),
}

/// Sets up the log of the process, to standard error or to journald.
///
/// # Errors
/// If the level is none, journald is wished and does not listen, or there is a log already.
pub fn init(config: &LogConfig) -> Result<LogHandle, LogError> {
    let level = parse_level(&config.level)?;
    let (subscriber, handle) = match chosen(config.format) {
        LogFormat::Journald => {
            let socket = JournalSocket::open().map_err(LogError::Journald)?;
            subscriber(LogFormat::Journald, level, false, socket)
        }
        format => {
            let colour = std::io::stderr().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            subscriber(format, level, colour, std::io::stderr)
        }
    };
    subscriber.try_init().map_err(|_| LogError::Already)?;
    Ok(handle)
}

/// Whether [`init`] could set up this log.
///
/// # Errors
/// As [`init`].
pub fn check(config: &LogConfig) -> Result<(), LogError> {
    parse_level(&config.level)?;
    match config.format {
        LogFormat::Journald => JournalSocket::open().map(drop).map_err(LogError::Journald),
        _ => Ok(()),
    }
}

impl LogHandle {
    /// Another level from now on; the format stays.
    ///
    /// # Errors
    /// If the level is none; then the old one stays.
    pub fn reload(&self, config: &LogConfig) -> Result<(), LogError> {
        let level = parse_level(&config.level)?;
        // Fails only if the subscriber is gone, and then nobody misses its level.
        self.0.reload(level).map_err(|_| LogError::Already)
    }
}

impl fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogHandle")
    }
}

/// Logs a failed login, in the one form which fail2ban reads. `account` is what was claimed;
/// `condition` the SASL condition (RFC 6120 §6.5).
///
/// The address comes first, in no span, so that no value which a stranger chooses can stand
/// before it; and both expressions begin at the line's start, so that none can forge one.
///
/// The filter is `packaging/fail2ban/filter.d/waxwing.conf`.
pub fn login_failed(peer: SocketAddr, account: Option<&str>, mechanism: &str, condition: &str) {
    // A socket for both families shows IPv4 as ::ffff:192.0.2.1, which a firewall would not match.
    let address = peer.ip().to_canonical();
    let account = account.unwrap_or("-");
    warn!(target: "waxwing::login", parent: None, peer = %address, port = peer.port(), account,
        mechanism, condition, "login failed");
}

/// From now on a panic is logged with its place, and `count` is called for each.
///
/// What it says is logged only if it is a literal of our code: a formatted one may quote what
/// somebody wrote (indexing a `str` does). Without a log, the standard hook speaks.
pub fn install_panic_hook(count: impl Fn() + Send + Sync + 'static) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        count();
        // Not `has_been_set`: that stays true after a subscriber of a scope has gone.
        if tracing::dispatcher::get_default(|log| !log.is::<NoSubscriber>()) {
            log_panic(info);
        } else {
            before(info);
        }
    }));
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let said = info.payload().downcast_ref::<&'static str>().copied();
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let backtrace = std::backtrace::Backtrace::capture();
    let backtrace = (backtrace.status() == std::backtrace::BacktraceStatus::Captured)
        .then(|| backtrace.to_string());
    error!(location, error = said.unwrap_or("(text not logged)"), backtrace, "panic");
}

/// What `auto` means here.
fn chosen(format: LogFormat) -> LogFormat {
    match format {
        LogFormat::Auto => {
            let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
            let to_journal = rustix::fs::fstat(std::io::stderr())
                .is_ok_and(|stat| is_journal(&stream, stat.st_dev, stat.st_ino));
            // The socket may be out of reach (in a container): then lines do as well.
            if to_journal && JournalSocket::open().is_ok() {
                LogFormat::Journald
            } else {
                LogFormat::Text
            }
        }
        other => other,
    }
}

/// systemd.exec(5): `JOURNAL_STREAM` is device and inode, and inherited by programs whose
/// standard error has since gone elsewhere.
fn is_journal(stream: &str, device: u64, inode: u64) -> bool {
    stream == format!("{device}:{inode}")
}

/// A bare level is that of our own code; libraries speak at `info` at most unless they are named.
fn parse_level(text: &str) -> Result<Targets, LogError> {
    let wrong = || LogError::Level(text.to_owned());
    let mut targets = Targets::new();
    let mut default = LevelFilter::INFO;
    let mut own = None;
    for part in text.split(',').map(str::trim) {
        match part.split_once('=') {
            None => default = level_of(part).ok_or_else(wrong)?,
            Some((target, level)) if !target.is_empty() => {
                let level = level_of(level).ok_or_else(wrong)?;
                own = own.or((target == OURS).then_some(level));
                targets = targets.with_target(target, level);
            }
            Some(_) => return Err(wrong()),
        }
    }
    Ok(targets
        .with_default(default.min(LevelFilter::INFO))
        .with_target(OURS, own.unwrap_or(default)))
}

/// `tracing` reads nothing at all as `error`.
fn level_of(word: &str) -> Option<LevelFilter> {
    word.parse().ok().filter(|_| !word.is_empty())
}

type Boxed = Box<dyn Subscriber + Send + Sync>;

fn subscriber<W>(format: LogFormat, level: Targets, colour: bool, writer: W) -> (Boxed, LogHandle)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (level, handle) = reload::Layer::new(level);
    let layer = tracing_subscriber::fmt::layer().log_internal_errors(false);
    let layer: Box<dyn Layer<_> + Send + Sync> = match format {
        LogFormat::Auto | LogFormat::Text => {
            layer.fmt_fields(Fields).with_ansi(colour).with_writer(writer).boxed()
        }
        LogFormat::Journald => layer
            .fmt_fields(Lines)
            .event_format(JournalEvent)
            .with_ansi(false)
            .with_writer(writer)
            .boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_writer(Printable(writer))
            .boxed(),
    };
    (Box::new(Registry::default().with(level).with(layer)), LogHandle(handle))
}

const OURS: &str = "waxwing";

#[cfg(test)]
mod tests;
