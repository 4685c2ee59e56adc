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
        Value::Array(values) => {
            let between = if values.iter().any(Value::is_object) { "; " } else { ", " };
            values.iter().map(plain).collect::<Vec<_>>().join(between)
        }
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(_) => value.to_string(),
        Value::Object(values) => {
            let values = values.iter();
            let values =
                values.map(|(name, value)| format!("{}: {}", name.replace('_', " "), plain(value)));
            values.collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_value_has_a_form_for_people() {
        let chain = json!([{ "subject": "a", "valid_until": "x" }, { "subject": "b", "valid_until": null }]);
        for (value, text) in [
            (json!(["a", true]), "a, yes"),
            (json!([]), ""),
            (chain, "subject: a, valid until: x; subject: b, valid until: -"),
        ] {
            assert_eq!(plain(&value), text);
        }
    }
}
