//! Answers: text and tables for people, JSON for programs.

use std::borrow::Cow;
use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde_json::Value;

use super::exit::{Exit, Problem};
use crate::host::command::Outcome;

/// Writes answers to standard output.
pub(super) struct Output {
    pub(super) is_json: bool,
}

impl Output {
    /// Writes the outcome of a command.
    pub(super) fn outcome(&self, outcome: &Outcome) -> Result<Exit, Problem> {
        match outcome {
            Outcome::Done { text, json } => self.say(text, json)?,
            Outcome::Partly { text, json } => {
                self.say(text, json)?;
                return Ok(Exit::Invalid);
            }
            Outcome::Table { .. } if self.is_json => self.say("", &outcome.to_json())?,
            Outcome::Table { columns, rows } => self.say(&table(columns, rows), &Value::Null)?,
        }
        Ok(Exit::Ok)
    }

    /// Writes the text or the JSON, with a newline.
    pub(super) fn say(&self, text: &str, json: &Value) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.is_json {
            writeln!(out, "{json}")?;
        } else {
            writeln!(out, "{text}")?;
        }
        out.flush()
    }

    /// Writes a failure.
    pub(super) fn problem(&self, problem: &Problem) -> io::Result<()> {
        match (problem.message.is_empty(), self.is_json) {
            (true, _) => Ok(()),
            (false, true) => self.say("", &problem.to_json()),
            (false, false) => writeln!(io::stderr().lock(), "waxwing: {}", problem.message),
        }
    }
}

fn table(columns: &[Cow<'static, str>], rows: &[Vec<Value>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|column| column.replace('_', " ").to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(cell));
    }
    let table = table.to_string();
    let lines = table.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
    lines.collect::<Vec<_>>().join("\n")
}

/// Replaces control characters: a text that a client chose (a resource) must not control the terminal.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    };
    text.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::table;

    #[test]
    fn a_table_has_no_borders_and_no_trailing_spaces() {
        let rows = [vec![json!("romeo@montague.lit"), json!(null)], vec![json!("j"), json!(3)]];
        let text = table(&["account".into(), "last_login".into()], &rows);
        let expected =
            "ACCOUNT             LAST LOGIN\nromeo@montague.lit  -\nj                   3";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_cell_cannot_steer_the_terminal() {
        assert_eq!(super::cell(&json!("a\u{1b}[2Jb\n")), "a\u{fffd}[2Jb\u{fffd}");
    }
}
