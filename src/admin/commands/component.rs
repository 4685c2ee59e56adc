//! `component list`: the external components (XEP-0114), and which are connected.

use serde_json::json;

use crate::host::command::{
    Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};

pub(super) static LIST: Command = Command {
    path: &["component", "list"],
    about: "List the external components, and their connections",
    arguments: &[],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(list(cx, arguments)),
};

async fn list(cx: &CommandCx, _: &Arguments) -> Result<Outcome, CommandError> {
    let running = cx.running.as_ref().ok_or(CommandError::NotRunning)?;
    let rows = running.components().into_iter().map(|row| {
        vec![json!(row.domain), json!(row.peer), json!(row.seconds), json!(row.waiting)]
    });
    let columns = COLUMNS.map(Into::into).to_vec();
    Ok(Outcome::Table { columns, rows: rows.collect() })
}

const COLUMNS: [&str; 4] = ["domain", "peer", "seconds", "waiting"];
