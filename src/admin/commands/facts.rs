//! An outcome that lists facts.

use serde_json::{Map, Value};

use crate::host::command::Outcome;

/// Names and values: a line each for people, an object for programs.
pub(super) fn facts(facts: &[(&'static str, Value)]) -> Outcome {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines = facts.iter().map(|(name, value)| {
        let label = name.replace('_', " ");
        format!("{label:width$}  {}", plain(value))
    });
    let json: Map<_, _> = facts.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
    Outcome::Done { text: lines.collect::<Vec<_>>().join("\n"), json: Value::Object(json) }
}

/// A value in the form for people.
fn plain(value: &Value) -> String {
    match value {
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
