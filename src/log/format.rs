//! The text format of log records, with every value escaped, and a writer that escapes what JSON does not.
//!
//! A mistake that is easy to make: `tracing-subscriber` escapes ESC but no line feeds in a value that is
//! logged by its `Display`, and `serde_json` escapes neither DEL nor C1 controls, which some terminals
//! interpret like ESC.

use std::fmt::{self, Write as _};
use std::io;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, MakeWriter};

/// Writes fields as `name=value`. A value that is not a single plain word is quoted like a string in Rust,
/// so that no value looks like another field.
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

impl Visit for FieldWriter<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let is_first = std::mem::take(&mut self.is_first);
        self.result =
            self.result.and_then(|()| put(&mut self.writer, is_first, field.name(), value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Adds a field, or the message, to a line.
pub(super) fn put(
    line: &mut impl fmt::Write,
    is_first: bool,
    name: &str,
    value: &str,
) -> fmt::Result {
    if !is_first {
        line.write_char(' ')?;
    }
    if name == "message" {
        return value.chars().try_for_each(|c| match c {
            '"' | '\'' | '\\' => line.write_char(c),
            _ => write!(line, "{}", c.escape_debug()),
        });
    }
    write!(line, "{name}=")?;
    if !value.is_empty() && value.chars().all(is_plain) {
        line.write_str(value)
    } else {
        write!(line, "{value:?}")
    }
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || (c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '=' | '{' | '}'))
}

/// A writer of JSON lines that also escapes DEL, the C1 controls, and the separators and direction marks of
/// Unicode, which `serde_json` does not escape.
pub(super) struct Printable<W>(pub(super) W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Printable<W> {
    type Writer = Printable<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Printable(self.0.make_writer())
    }
}

/// Each write is one record.
impl<W: io::Write> io::Write for Printable<W> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        if record.iter().all(|b| (b' '..0x7F).contains(b) || *b == b'\n') {
            self.0.write_all(record)?;
            return Ok(record.len());
        }
        let mut escaped = String::with_capacity(record.len() + 32);
        for c in String::from_utf8_lossy(record).chars() {
            if is_odd(c) {
                // All of them are below U+10000, so they have one UTF-16 unit.
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

pub(super) fn is_odd(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}')
}
