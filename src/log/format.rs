//! How records look, with every value escaped: text, journald; and what JSON leaves unescaped.
//!
//! The thing one would get wrong: `tracing-subscriber` escapes ESC but not line feeds in a value
//! that is logged by its `Display`, and `serde_json` escapes neither DEL nor C1 controls, which
//! some terminals obey as they obey ESC.

use std::fmt::{self, Write as _};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// Fields as `name=value`. A value that is not one plain word is quoted as Rust would quote it, so
/// that none looks like another field.
pub(super) struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visit = FieldWriter { writer, is_first: true, result: Ok(()) };
        fields.record(&mut visit);
        visit.result
    }
}

struct FieldWriter<'w> {
    writer: Writer<'w>,
    is_first: bool,
    result: fmt::Result,
}

impl FieldWriter<'_> {
    fn put(&mut self, field: &Field, value: &str) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(' ')?;
        }
        if field.name() == "message" {
            return value.chars().try_for_each(|c| match c {
                '"' | '\'' | '\\' => self.writer.write_char(c),
                _ => write!(self.writer, "{}", c.escape_debug()),
            });
        }
        write!(self.writer, "{}=", field.name())?;
        if !value.is_empty() && value.chars().all(is_plain) {
            self.writer.write_str(value)
        } else {
            write!(self.writer, "{value:?}")
        }
    }
}

impl Visit for FieldWriter<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.result = self.result.and_then(|()| self.put(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || (c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '=' | '{' | '}'))
}

/// A record in journald's native protocol: `NAME=value` lines.
///
/// `MESSAGE` is the whole line, spans and fields included, since that is all `journalctl` and
/// fail2ban look at. All values are on one line, so the binary form is never needed.
pub(super) struct JournalEvent;

impl<S> FormatEvent<S, Fields> for JournalEvent
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Fields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // syslog(3): the lower, the worse.
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        };
        let target = event.metadata().target();
        write!(
            writer,
            "SYSLOG_IDENTIFIER=waxwing\nPRIORITY={priority}\nTARGET={target}\nMESSAGE="
        )?;
        let spans = context.event_scope().into_iter().flat_map(|scope| scope.from_root());
        for span in spans {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<Fields>>().map_or("", |f| f.as_str());
            write!(writer, "{}{{{fields}}}: ", span.name())?;
        }
        context.format_fields(writer.by_ref(), event)?;
        writer.write_char('\n')
    }
}

/// Where journald listens. Cheap to clone.
#[derive(Clone)]
pub(super) struct JournalSocket(Arc<UnixDatagram>);

impl JournalSocket {
    pub(super) fn open() -> io::Result<Self> {
        Self::open_at(JOURNALD)
    }

    pub(super) fn open_at(path: &str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        // A journald that hangs must not hang us.
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

/// One write is one record. A record that is too long is cut.
impl io::Write for JournalSocket {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let end = record.len().min(LONGEST_RECORD);
        self.0.send(&record[..end])?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer of JSON lines that escapes what `serde_json` leaves: DEL, the C1 controls, and the
/// separators and direction marks of Unicode.
pub(super) struct Printable<W>(pub(super) W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Printable<W> {
    type Writer = Printable<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Printable(self.0.make_writer())
    }
}

/// One write is one record.
impl<W: io::Write> io::Write for Printable<W> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        if record.iter().all(|b| (b' '..0x7F).contains(b) || *b == b'\n') {
            self.0.write_all(record)?;
            return Ok(record.len());
        }
        let mut escaped = String::with_capacity(record.len() + 32);
        for c in String::from_utf8_lossy(record).chars() {
            if is_odd(c) {
                // All of them are below U+10000: one unit of UTF-16.
                write!(escaped, "\\u{:04x}", u32::from(c)).map_err(io::Error::other)?;
            } else {
                escaped.push(c);
            }
        }
        self.0.write_all(escaped.as_bytes())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn is_odd(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}')
}

const JOURNALD: &str = "/run/systemd/journal/socket";
/// Bytes; well below what a datagram may have (`net.core.wmem_default`, 208 KiB).
const LONGEST_RECORD: usize = 64 * 1024;
