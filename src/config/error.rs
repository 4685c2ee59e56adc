//! Errors in a configuration. Each has a place, the line with a caret below it, and the correction.
//!
//! All errors of a file are reported together, so that the administrator can fix them at once.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

use super::secret::hidden;

/// All errors in one configuration: at least one, in the order of the file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// One error.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ConfigError {
    /// The name of the file, as it was given.
    pub file: String,
    /// The line, counted from 1. 0: the error concerns the whole file.
    pub line: usize,
    /// The column in characters, counted from 1. 0: the error concerns the whole file.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// The text of the line.
    #[serde(skip)]
    pub(super) source: String,
    /// How many characters the caret underlines.
    #[serde(skip)]
    pub(super) width: usize,
}

impl std::error::Error for ConfigErrors {}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.file, self.message)?;
        } else {
            let Self { file, line, column, message, source, .. } = self;
            let margin = " ".repeat(line.to_string().len());
            // Tabs are repeated, so that the caret stands in the right column.
            let blank = |c: char| if c == '\t' { '\t' } else { ' ' };
            let before: String = source.chars().take(column - 1).map(blank).collect();
            let carets = "^".repeat(self.width.max(1));
            write!(f, "{file}:{line}:{column}: {message}\n{margin} |\n{line} | {source}\n")?;
            write!(f, "{margin} | {before}{carets}")?;
        }
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// Collects errors while a text is read.
pub(super) struct Problems<'a> {
    file: &'a str,
    text: &'a str,
    found: Vec<(usize, ConfigError)>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, found: Vec::new() }
    }

    /// Adds an error. `at` is a range of bytes of the text.
    pub(super) fn add(
        &mut self,
        at: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        let start = self.text.floor_char_boundary(at.start);
        let end = self.text.floor_char_boundary(at.end.max(start));
        let line_start = self.text[..start].rfind('\n').map_or(0, |i| i + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |i| start + i);
        let error = ConfigError {
            file: self.file.to_owned(),
            line: self.text[..line_start].matches('\n').count() + 1,
            column: self.text[line_start..start].chars().count() + 1,
            message: message.into(),
            help: help.into(),
            source: hidden(self.text[line_start..line_end].trim_end_matches('\r')),
            width: self.text[start..end.min(line_end)].chars().count(),
        };
        self.found.push((start, error));
    }

    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    /// The errors, in the order of the text.
    pub(super) fn into_errors(mut self) -> ConfigErrors {
        self.found.sort_by_key(|(start, _)| *start);
        ConfigErrors(self.found.into_iter().map(|(_, error)| error).collect())
    }
}

impl ConfigErrors {
    /// One error that concerns the whole file.
    pub(super) fn whole(file: String, message: String, help: Option<String>) -> Self {
        let (source, width) = (String::new(), 0);
        Self(vec![ConfigError { file, line: 0, column: 0, message, help, source, width }])
    }
}
