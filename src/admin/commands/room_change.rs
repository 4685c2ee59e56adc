//! `room create`, `room set` and `room destroy`. They need a running server: occupants are told of each change.

use serde_json::json;

use super::account::{needed, optional};
use super::room::FIELDS;
use super::room_argument::{ROOM, address, room, rooms};
use crate::host::command::{
    ArgumentKind, Arguments, Caller, Command, CommandCx, CommandError, Outcome, Permission,
    WithoutServer,
};
use crate::jid::BareJid;

pub(super) static CREATE: Command = Command {
    path: &["room", "create"],
    about: "Create a room that stays when nobody is in it",
    arguments: &[
        ROOM,
        optional(
            "owner",
            ArgumentKind::Account,
            "Its owner; needed, unless a chat client gives the command",
        ),
        optional(
            "force",
            ArgumentKind::Flag,
            "Also if the service has as many rooms as it may have",
        ),
    ],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(create(cx, arguments)),
};

async fn create(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let (rooms, room) = (rooms(cx)?, room(cx, arguments)?);
    let owner = owner(cx, arguments)?;
    rooms.create(&room, &owner, arguments.flag("force")).await?;
    let text = format!("Created room {room}, which {owner} owns.");
    Ok(Outcome::Done { text, json: json!({ "room": room, "owner": owner }) })
}

pub(super) static SET: Command = Command {
    path: &["room", "set"],
    about: "Change a setting of a room",
    arguments: &[
        ROOM,
        needed(
            "field",
            ArgumentKind::Text,
            "The setting, as `room show` names it: roomname, membersonly, maxusers …",
        ),
        needed(
            "value",
            ArgumentKind::Private,
            "The new value; 1 or 0 for yes or no; commas between the items of a list",
        ),
    ],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(set(cx, arguments)),
};

async fn set(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let (rooms, room) = (rooms(cx)?, room(cx, arguments)?);
    let (field, value) = (arguments.required("field")?, arguments.required("value")?);
    let short = field.strip_prefix(FIELDS).unwrap_or(field);
    if short == PASSWORD {
        // All users of the machine can read a command line.
        let text = "the password of a room is set by a chat client, not by a command; set \
                    `passwordprotectedroom` to 0 to remove it";
        return Err(CommandError::Invalid(text.to_owned()));
    }
    let values: Vec<String> = match value {
        "" => Vec::new(),
        _ if is_list(short) => value.split(',').map(|item| item.trim().to_owned()).collect(),
        _ => vec![value.to_owned()],
    };
    rooms.set(&room, &full(field), &values).await?;
    let text = match values.as_slice() {
        [] => format!("{short} of {room} has no value."),
        values => format!("{short} of {room} is {}.", values.join(", ")),
    };
    let json = json!({ "room": room, "field": short, "values": values });
    Ok(Outcome::Done { text, json })
}

pub(super) static DESTROY: Command = Command {
    path: &["room", "destroy"],
    about: "Destroy a room with its archive, and tell its occupants",
    arguments: &[
        ROOM,
        optional("reason", ArgumentKind::Text, "Reason shown to its occupants"),
        optional("alternative", ArgumentKind::Text, "Another room, shown to its occupants"),
    ],
    permission: Permission::Write,
    question: Some(|cx, arguments| Box::pin(destroy_question(cx, arguments))),
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(destroy(cx, arguments)),
};

async fn destroy_question(
    cx: &CommandCx,
    arguments: &Arguments,
) -> Result<Option<String>, CommandError> {
    let shown = rooms(cx)?.show(&room(cx, arguments)?).await?.row;
    let inside = match shown.occupants {
        0 => "nobody is in it".to_owned(),
        1 => "1 occupant is in it".to_owned(),
        n => format!("{n} occupants are in it"),
    };
    let room = shown.room;
    Ok(Some(format!("Destroy the room {room} with its members and its archive ({inside})?")))
}

async fn destroy(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let (rooms, room) = (rooms(cx)?, room(cx, arguments)?);
    let other = arguments.text("alternative").map(|text| address(cx, text)).transpose()?;
    let removed = rooms.destroy(&room, arguments.text("reason"), other.as_ref()).await?;
    let text = match removed {
        0 => format!("Destroyed room {room}."),
        1 => format!("Destroyed room {room}, in which 1 occupant was."),
        n => format!("Destroyed room {room}, in which {n} occupants were."),
    };
    Ok(Outcome::Done { text, json: json!({ "room": room, "occupants": removed }) })
}

/// The owner that was named, else the client that gives the command.
fn owner(cx: &CommandCx, arguments: &Arguments) -> Result<BareJid, CommandError> {
    match (arguments.text("owner"), &cx.caller) {
        (Some(text), _) => cx.account(text),
        (None, Caller::Client(client)) => Ok(client.to_bare()),
        (None, Caller::Uid(_)) => Err(CommandError::Invalid("a room needs an `owner`".to_owned())),
    }
}

/// The full name of a field (XEP-0045 §16.5.3).
fn full(field: &str) -> String {
    match field {
        "maxhistoryfetch" => "muc#maxhistoryfetch".to_owned(),
        // It has a namespace already.
        _ if field.contains(['#', '{']) => field.to_owned(),
        _ => format!("{FIELDS}{field}"),
    }
}

/// Whether a field has several values. Those of ours have a namespace before their names.
fn is_list(field: &str) -> bool {
    LISTS.contains(&field) || field.ends_with("}contacts")
}

/// Fields that have several values.
const LISTS: &[&str] = &["getmemberlist", "presencebroadcast", "roomadmins", "roomowners"];
const PASSWORD: &str = "roomsecret";
