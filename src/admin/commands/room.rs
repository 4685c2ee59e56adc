//! `room list` and `room show`. They need a running server.

use serde_json::{Value, json};

use super::account::optional;
use super::facts::facts;
use super::room_argument::{ROOM, room, rooms};
use crate::host::command::{
    ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};
use crate::host::rooms::{RoomFacts, RoomRow};

pub(super) static LIST: Command = Command {
    path: &["room", "list"],
    about: "List rooms",
    arguments: &[optional("all", ArgumentKind::Flag, "Also rooms that are hidden")],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(list(cx, arguments)),
};

async fn list(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let known = rooms(cx)?;
    let mut rows = Vec::new();
    for domain in known.domains().into_iter().filter(|domain| is_meant(cx, domain)) {
        let listed = known.list(&domain, arguments.flag("all")).await?;
        rows.extend(listed.iter().map(row));
    }
    let columns = ["room", "name", "occupants", "public", "persistent", "created"];
    Ok(Outcome::Table { columns: columns.map(Into::into).to_vec(), rows })
}

pub(super) static SHOW: Command = Command {
    path: &["room", "show"],
    about: "Show a room and its settings",
    arguments: &[ROOM],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(show(cx, arguments)),
};

async fn show(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let shown = rooms(cx)?.show(&room(cx, arguments)?).await?;
    Ok(with_settings(about(&shown), &shown.settings))
}

/// Whether the domain of a service is below the host that the caller named, if the caller named one.
pub(super) fn is_meant(cx: &CommandCx, domain: &str) -> bool {
    let Some(host) = &cx.only_domain else { return true };
    cx.config.room_services().any(|service| format!("{}.{host}", service.prefix) == domain)
}

fn row(room: &RoomRow) -> Vec<Value> {
    vec![
        json!(room.room),
        json!(room.name),
        json!(room.occupants),
        json!(room.is_public),
        json!(room.is_persistent),
        json!(room.created.to_string()),
    ]
}

fn about(shown: &RoomFacts) -> Outcome {
    let RoomFacts { row, creator, subject, affiliations, settings: _ } = shown;
    let [owners, admins, members, outcasts] = affiliations;
    facts(&[
        ("room", json!(row.room)),
        ("name", json!(row.name)),
        ("subject", json!(subject)),
        ("public", json!(row.is_public)),
        ("persistent", json!(row.is_persistent)),
        ("occupants", json!(row.occupants)),
        ("created", json!(row.created.to_string())),
        ("creator", json!(creator)),
        ("owners", json!(owners)),
        ("admins", json!(admins)),
        ("members", json!(members)),
        ("banned", json!(outcasts)),
    ])
}

/// Adds the settings, by the names that `room set` takes. Names of fields are values, not keys: they are those of
/// the form.
fn with_settings(outcome: Outcome, settings: &[(String, Vec<String>)]) -> Outcome {
    let (mut text, mut json) = match outcome {
        Outcome::Done { text, json } => (text, json),
        other => return other,
    };
    text.push_str("\n\nsettings (see `room set`)");
    let mut all = Vec::new();
    for (field, values) in settings {
        let field = field.strip_prefix(FIELDS).unwrap_or(field);
        text.push_str(&format!("\n  {field} = {}", values.join(", ")));
        all.push(json!({ "field": field, "values": values }));
    }
    json["settings"] = Value::Array(all);
    Outcome::Done { text, json }
}

/// What stands before the names of most fields (XEP-0045 §16.5.3).
pub(super) const FIELDS: &str = "muc#roomconfig_";
