//! The answer of a command.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The answer of a command, in a form for people (a table or a sentence) and for programs (JSON).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Outcome {
    /// A sentence for people, and the same as JSON. A caller that wants only one of them gets only that one.
    Done {
        /// For people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
        /// For programs. The keys of all objects are in snake case.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        json: Value,
    },
    /// The same, but a part of the work failed. Both forms say which part.
    Partly {
        /// For people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
        /// For programs.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        json: Value,
    },
    /// Rows under the same columns.
    Table {
        /// Names of the columns: keys of the JSON objects.
        columns: Vec<Cow<'static, str>>,
        /// The rows. Each has one value for each column.
        rows: Vec<Vec<Value>>,
    },
}

/// The form of the answer that a caller wants.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Only the form for programs.
    Json,
    /// Only the form for people. Tables stay tables.
    Text,
}

impl Outcome {
    /// The form for programs: a table becomes a list of objects.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Done { json, .. } | Self::Partly { json, .. } => json.clone(),
            Self::Table { columns, rows } => {
                let names = || columns.iter().map(|column| column.to_string());
                let object = |row: &Vec<Value>| names().zip(row.iter().cloned()).collect();
                rows.iter().map(object).map(Value::Object).collect()
            }
        }
    }

    /// The part that the caller wants; `None`: everything.
    #[must_use]
    pub fn in_format(self, format: Option<Format>) -> Self {
        match (format, self) {
            (None, all) => all,
            (Some(Format::Json), Self::Partly { json, .. }) => {
                Self::Partly { json, text: String::new() }
            }
            (Some(Format::Json), other) => {
                Self::Done { json: other.to_json(), text: String::new() }
            }
            (Some(Format::Text), Self::Done { text, .. }) => Self::Done { text, json: Value::Null },
            (Some(Format::Text), Self::Partly { text, .. }) => {
                Self::Partly { text, json: Value::Null }
            }
            (Some(Format::Text), table @ Self::Table { .. }) => table,
        }
    }
}
