//! The log. It is set up once, its level can change while the server runs, and each record is one line.
//!
//! A mistake that is easy to make: values come from clients. A line feed would forge a record, an ESC would
//! control the reader's terminal, and a right-to-left mark would reorder the text. So every format escapes
//! every value (`format.rs`, `journald.rs`), and no message contains a value. Bodies and credentials are not
//! logged at any level; whole stanzas go through [`Redacted`].
//!
//! All modules use these names of fields:
//!
//! | field | meaning |
//! |---|---|
//! | `stream` | id of the stream (RFC 6120 §4.7.3) |
//! | `host` | a served domain |
//! | `peer`, `port` | IP address and port of the other side |
//! | `jid` | the user or session that acts |
//! | `to`, `from`, `kind`, `id`, `ns`, `xep`, `node`, `origin` | of a stanza |
//! | `session`, `sessions`, `archive_id` | who has a stanza: a full JID, a number, its id in an archive |
//! | `account`, `mechanism` | of a login |
//! | `error` | the cause, for the administrator |
//! | `condition` | the stanza, stream or SASL condition that is sent to the peer |
//! | `file`, `until` | a path, a date |
//! | `uid`, `command`, `arguments`, `outcome` | the local user who gave a command, the command and its result |
//! | `version`, `domains`, `config`, `data`, `listeners` | of the server, at its start |
//! | `reason`, `uptime_seconds` | why something ended, and how long it ran |
//! | `warning` | what is likely wrong |
//! | `location`, `backtrace` | a place in the source code |
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

/// Changes the level while the server runs.
#[derive(Clone)]
pub struct LogHandle(reload::Handle<Targets, Registry>);

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The process has a log already.
    #[error("the log has been set up already")]
    Already,
    /// journald cannot be reached.
    #[error(
        "journald cannot be reached: {0}; set `format = \"text\"` under [log] if there is none"
    )]
    Journald(std::io::Error),
    /// The level is invalid.
    #[error(
        "\"{0}\" is no level for the log: write error, warn, info, debug or trace, \
         or a list like \"info,waxwing::c2s=debug\""
    )]
    Level(String),
}

/// Sets up the log of the process, to standard error or to journald.
///
/// # Errors
/// If the level is invalid, if journald is configured and cannot be reached, or if there is a log already.
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

/// Checks whether [`init`] could set up this log.
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
    /// Sets the level. The format stays.
    ///
    /// # Errors
    /// If the level is invalid. Then the old one stays.
    pub fn reload(&self, config: &LogConfig) -> Result<(), LogError> {
        let level = parse_level(&config.level)?;
        // This fails only if the subscriber is gone, and then its level does not matter.
        self.0.reload(level).map_err(|_| LogError::Already)
    }
}

impl fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogHandle")
    }
}

/// Logs a failed login, in the form that fail2ban reads. `account`: the name that the client sent.
/// `condition`: the SASL condition (RFC 6120 §6.5).
///
/// The address comes first and outside of any span, so that no value from a client precedes it. Both regular
/// expressions of the filter begin at the start of the line, so that no value can forge a match.
///
/// The filter is `packaging/fail2ban/filter.d/waxwing.conf`.
pub fn login_failed(peer: SocketAddr, account: Option<&str>, mechanism: &str, condition: &str) {
    // A socket for both families reports IPv4 addresses as ::ffff:192.0.2.1, which no firewall rule would
    // match.
    let address = peer.ip().to_canonical();
    let account = account.unwrap_or("-");
    warn!(target: "waxwing::login", parent: None, peer = %address, port = peer.port(), account,
        mechanism, condition, "login failed");
}

/// From now on panics are logged with their place in the source, and `count` is called for each.
///
/// The message of a panic is logged only if it is a literal: a formatted one may quote a user's text (as
/// indexing a `str` does). Without a log, the standard hook is used.
pub fn install_panic_hook(count: impl Fn() + Send + Sync + 'static) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        count();
        // `has_been_set` would stay true after the subscriber of a scope was dropped.
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

/// The output that `auto` chooses.
fn chosen(format: LogFormat) -> LogFormat {
    match format {
        LogFormat::Auto => {
            let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
            let to_journal = rustix::fs::fstat(std::io::stderr())
                .is_ok_and(|stat| is_journal(&stream, stat.st_dev, stat.st_ino));
            // The socket may be out of reach (in a container). Then lines on standard error are used.
            if to_journal && JournalSocket::open().is_ok() {
                LogFormat::Journald
            } else {
                LogFormat::Text
            }
        }
        other => other,
    }
}

/// systemd.exec(5): `JOURNAL_STREAM` contains device and inode. Programs inherit it even if their standard
/// error goes elsewhere.
fn is_journal(stream: &str, device: u64, inode: u64) -> bool {
    stream == format!("{device}:{inode}")
}

/// A level without a target applies to Waxwing's own code. Libraries log at `info` at most, unless they are
/// named.
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

/// `tracing` reads an empty text as `error`.
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

/// The target of all records that say what becomes of a stanza; at level `debug`. With the level
/// `info,waxwing::stanza=debug` the log has these, and nothing else of that level.
pub const STANZA: &str = "waxwing::stanza";

const OURS: &str = "waxwing";

#[cfg(test)]
mod tests;
