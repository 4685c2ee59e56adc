//! `component list` and `component show`: the external components (XEP-0114), which are connected, and what they may do.

use serde_json::json;

use super::account::needed;
use super::facts::facts;
use crate::host::command::{
    ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
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

pub(super) static SHOW: Command = Command {
    path: &["component", "show"],
    about: "Show an external component: what it may do for users, and what it answers instead of the server",
    arguments: &[needed("component", ArgumentKind::Text, "The domain of the component")],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(show(cx, arguments)),
};

async fn show(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let running = cx.running.as_ref().ok_or(CommandError::NotRunning)?;
    let domain = arguments.required("component")?;
    let found = cx.config.components.iter().find(|component| component.domain == domain);
    let component =
        found.ok_or_else(|| CommandError::NotFound(format!("there is no component {domain}")))?;
    let rows = running.components().into_iter().filter(|row| row.domain == domain);
    let rows: Vec<_> = rows.filter(|row| row.peer.is_some()).collect();
    let iq = component.iq.iter().map(|each| format!("{} ({})", each.ns, each.requests.word()));
    let delegate = component.delegate.iter().map(|each| match each.attributes.as_slice() {
        [] => each.ns.clone(),
        attributes => format!("{} (with {})", each.ns, attributes.join(", ")),
    });
    Ok(facts(&[
        ("domain", json!(component.domain)),
        ("subdomains", json!(component.subdomains)),
        ("name", json!(component.name)),
        ("connected", json!(rows.len())),
        ("connections", json!(component.connections)),
        ("waiting", json!(rows.iter().map(|row| row.waiting).sum::<usize>())),
        ("roster", json!(component.roster.word())),
        ("roster_push", json!(component.is_pushed())),
        ("message", json!(component.message.word())),
        ("presence", json!(component.presence.word())),
        ("iq", json!(iq.collect::<Vec<_>>())),
        ("delegate", json!(delegate.collect::<Vec<_>>())),
    ]))
}

const COLUMNS: [&str; 4] = ["domain", "peer", "seconds", "waiting"];
