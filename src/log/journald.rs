//! Records for journald, in its native protocol: `NAME=value` lines, one for each field.
//!
//! `MESSAGE` is the whole line of text with spans and fields, since `journalctl` shows and fail2ban reads
//! nothing else. Each field of the record and of its spans follows under its own name in upper case:
//! `journalctl PEER=192.0.2.7`. No value contains a line feed, so the binary form of the protocol is never
//! needed.

use std::fmt::{self, Write as _};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use super::format::{is_odd, put};

/// The fields of spans, stored as lines `name=value` until a record needs them.
pub(super) struct Lines;

impl<'w> FormatFields<'w> for Lines {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut values = Values::default();
        fields.record(&mut values);
        for (name, value) in values.0 {
            let value = value.replace('\\', "\\\\").replace('\n', "\\n");
            writeln!(writer, "{name}={value}")?;
        }
        Ok(())
    }

    /// Fields that were recorded later become further lines.
    fn add_fields(
        &self,
        current: &'w mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

/// Reads the lines of a span.
fn read(lines: &str) -> impl Iterator<Item = (&str, String)> {
    lines.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| {
        let mut raw = String::with_capacity(value.len());
        let mut chars = value.chars();
        while let Some(c) = chars.next() {
            raw.push(match c {
                '\\' if chars.next() == Some('n') => '\n',
                c => c,
            });
        }
        (name, raw)
    })
}

/// Collects names and values unchanged.
#[derive(Default)]
struct Values(Vec<(&'static str, String)>);

impl Visit for Values {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }
}

/// A record.
pub(super) struct JournalEvent;

impl<S> FormatEvent<S, Lines> for JournalEvent
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Lines>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // syslog(3): lower numbers are more severe.
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        };
        let target = event.metadata().target();
        let mut message = String::new();
        let mut fields = String::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let lines = extensions.get::<FormattedFields<Lines>>().map_or("", |f| f.as_str());
            write!(message, "{}{{", span.name())?;
            for (i, (name, value)) in read(lines).enumerate() {
                put(&mut message, i == 0, name, &value)?;
                add(&mut fields, name, &value)?;
            }
            message.push_str("}: ");
        }
        let mut values = Values::default();
        event.record(&mut values);
        for (i, (name, value)) in values.0.iter().enumerate() {
            put(&mut message, i == 0, name, value)?;
            add(&mut fields, name, value)?;
        }
        // The message comes first, since a long record is cut at its end.
        write!(
            writer,
            "SYSLOG_IDENTIFIER=waxwing\nPRIORITY={priority}\nTARGET={target}\nMESSAGE={message}\n\
             {fields}"
        )
    }
}

/// Adds a field under a name that journald accepts: upper case letters, digits and underscores, without an
/// underscore at the beginning (systemd.journal-fields(7)).
fn add(fields: &mut String, name: &str, value: &str) -> fmt::Result {
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect();
    let is_good = name.starts_with(|c: char| c.is_ascii_uppercase());
    if !is_good || ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "TARGET"].contains(&&*name) {
        return Ok(());
    }
    write!(fields, "{name}=")?;
    for c in value.chars() {
        match c == '\n' || is_odd(c) {
            true => write!(fields, "{}", c.escape_default())?,
            false => fields.push(c),
        }
    }
    fields.push('\n');
    Ok(())
}

/// The socket of journald. Cheap to clone.
#[derive(Clone)]
pub(super) struct JournalSocket(Arc<UnixDatagram>);

impl JournalSocket {
    pub(super) fn open() -> io::Result<Self> {
        Self::open_at(JOURNALD)
    }

    pub(super) fn open_at(path: &str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        // A journald that hangs must not block the server.
        socket.set_write_timeout(Some(Duration::from_millis(100)))?;
        Ok(Self(Arc::new(socket)))
    }
}

impl<'a> MakeWriter<'a> for JournalSocket {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }
}

/// Each write is one record. A record that is too long is cut. journald ignores a line without an end, so
/// the cut line gets one.
impl io::Write for JournalSocket {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        if record.len() <= LONGEST_RECORD {
            self.0.send(record)?;
        } else {
            let cut = String::from_utf8_lossy(&record[..LONGEST_RECORD - 4]);
            self.0.send(format!("{}\n", cut.trim_end_matches('\u{fffd}')).as_bytes())?;
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const JOURNALD: &str = "/run/systemd/journal/socket";
/// The largest number of bytes of a record, well below that of a datagram (`net.core.wmem_default`,
/// 208 KiB).
const LONGEST_RECORD: usize = 64 * 1024;
