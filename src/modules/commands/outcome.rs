//! Runs a command for a client, and answers with what came of it.

use serde_json::Value;

use crate::host::Cx;
use crate::host::command::{Arguments, Caller, Command, CommandCx, CommandError, Outcome, call};
use crate::ns;
use crate::payload::data_form;
use crate::stanza::{Condition, StanzaError};
use crate::xml::{Node, element};

/// Names without a domain are of the domain that was addressed.
pub(super) async fn run(
    cx: &Cx<'_>,
    command: &'static Command,
    arguments: &Arguments,
    confirmed: bool,
) -> Result<Outcome, CommandError> {
    let client = cx.origin.client().ok_or(CommandError::NotRunning)?;
    let mut with = CommandCx::in_server(cx.server, Caller::Client(client.clone()));
    with.default_domain = cx.host.domain.to_string();
    call(&with, command, arguments, confirmed).await
}

/// What came of it: a sentence, a table, or why it was not done (XEP-0050 §3.6).
pub(super) fn shown(node: &str, about: &str, done: Result<Outcome, CommandError>) -> Vec<Node> {
    let note = |kind, text: &str| element("note").attr("type", kind).text(text);
    match done {
        Ok(Outcome::Done { text, .. }) => vec![note("info", &text)],
        Ok(Outcome::Partly { text, .. }) => vec![note("warn", &text)],
        Ok(Outcome::Table { columns, rows }) => {
            let columns: Vec<&str> = columns.iter().map(AsRef::as_ref).collect();
            let left_out = rows.len().saturating_sub(MAX_ROWS);
            let rows = rows.iter().take(MAX_ROWS).map(|row| row.iter().map(plain).collect());
            let table = data_form::table(about, &columns, rows);
            match left_out {
                0 => vec![table],
                more => vec![note("warn", &format!("{more} more are not shown")), table],
            }
        }
        Err(CommandError::Unconfirmed(question)) => {
            let text = format!("{question} Nothing was done, as `{CONFIRM}` was not set.");
            vec![note("error", &text)]
        }
        Err(CommandError::Storage(error)) => {
            tracing::error!(%error, command = node, "storage failed");
            vec![note("error", "storage failed")]
        }
        Err(error) => {
            if matches!(error, CommandError::Failed(_)) {
                tracing::error!(%error, command = node, "command failed");
            }
            vec![note("error", &error.to_string())]
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `bad-request` with a condition of XEP-0050 §4.
pub(super) fn bad(condition: &'static str) -> StanzaError {
    let mut error = StanzaError::from(Condition::BadRequest);
    error.detail = Some(element(condition).ns(ns::COMMANDS));
    error
}

/// The field by which a destructive command is confirmed.
pub(super) const CONFIRM: &str = "confirm";
/// Rows of a table in one stanza.
pub(super) const MAX_ROWS: usize = 500;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{MAX_ROWS, shown};
    use crate::host::command::{CommandError, Outcome};

    fn table(rows: usize) -> String {
        let rows = (0..rows).map(|n| vec![Value::from(n), Value::Null]).collect();
        let columns = vec!["n".into(), "none".into()];
        let nodes = shown("list", "List", Ok(Outcome::Table { columns, rows }));
        nodes.iter().map(crate::xml::Node::to_xml).collect()
    }

    #[test]
    fn a_table_that_is_cut_off_says_so() {
        assert!(!table(0).contains("<note"));
        assert!(!table(MAX_ROWS).contains("<note"));
        let cut = table(MAX_ROWS + 2);
        assert!(cut.starts_with("<note type='warn'>2 more are not shown</note><x "), "{cut}");
        assert_eq!(cut.matches("<item>").count(), MAX_ROWS);
    }

    #[test]
    fn what_was_not_done_has_a_note_of_an_error() {
        let nodes = shown("list", "List", Err(CommandError::NotRunning));
        let text = nodes[0].to_xml();
        assert_eq!(text, "<note type='error'>this needs a running server</note>");
    }
}
