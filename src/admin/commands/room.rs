//! `room list` and `room show`. They need a running server.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::account::optional;
use super::facts::facts;
use super::room_argument::{ROOM, room, rooms, without_server};
use crate::config::Config;
use crate::host::command::{
    Argument, ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission,
};
use crate::host::rooms::{RoomFacts, RoomRow};

/// `room list`
pub(super) struct List;

/// `room show`
pub(super) struct Show;

#[async_trait]
impl Command for List {
    fn path(&self) -> &'static [&'static str] {
        &["room", "list"]
    }

    fn about(&self) -> &'static str {
        "List rooms"
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[optional("all", ArgumentKind::Flag, "Also rooms that are hidden")] }
    }

    fn permission(&self) -> Permission {
        Permission::Read
    }

    fn without_server(&self, _: &Config) -> Option<Result<Outcome, CommandError>> {
        without_server()
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
        let known = rooms(cx)?;
        let mut rows = Vec::new();
        for domain in known.domains().into_iter().filter(|domain| is_meant(cx, domain)) {
            let listed = known.list(&domain, arguments.flag("all")).await?;
            rows.extend(listed.iter().map(row));
        }
        let columns = ["room", "name", "occupants", "public", "persistent", "created"];
        Ok(Outcome::Table { columns: columns.map(Into::into).to_vec(), rows })
    }
}

#[async_trait]
impl Command for Show {
    fn path(&self) -> &'static [&'static str] {
        &["room", "show"]
    }

    fn about(&self) -> &'static str {
        "Show a room and its settings"
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[ROOM] }
    }

    fn permission(&self) -> Permission {
        Permission::Read
    }

    fn without_server(&self, _: &Config) -> Option<Result<Outcome, CommandError>> {
        without_server()
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
        let shown = rooms(cx)?.show(&room(cx, arguments)?).await?;
        Ok(with_settings(about(&shown), &shown.settings))
    }
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
