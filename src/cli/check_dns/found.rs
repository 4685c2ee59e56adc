//! What was found.

use std::fmt::Write as _;

use serde::Serialize;

/// What was found for a domain.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) domain: String,
    pub(super) lines: Vec<Line>,
    /// The missing records, as lines for the zone file.
    pub(super) records: Vec<String>,
}

/// One finding.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Line {
    pub(super) level: Level,
    /// A sentence, or what is right.
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    Ok,
    /// Some do not find the server, or it may be meant so.
    Warning,
    /// Nobody of a kind finds the server.
    Missing,
    /// The DNS does not answer.
    NotChecked,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Missing => "missing",
            Self::NotChecked => "not checked",
        }
    }
}

impl Report {
    /// Whether a line has this level.
    pub(super) fn has(&self, level: Level) -> bool {
        self.lines.iter().any(|line| line.level == level)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n", self.domain);
        for Line { level, text: line } in &self.lines {
            writeln!(text, "  {:12} {line}", level.word()).expect(TO_STRING);
        }
        if !self.records.is_empty() {
            text.push_str("  Records to add to the zone:\n");
            for record in &self.records {
                writeln!(text, "{record}").expect(TO_STRING);
            }
        }
        text
    }
}

const TO_STRING: &str = "writing to a string does not fail";
