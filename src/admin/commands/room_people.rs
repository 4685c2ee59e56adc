//! `room members`, `member`, `occupants` and `kick`: who belongs to a room, and who is in it. They need a running
//! server.

use serde_json::json;

use super::account::{needed, optional};
use super::room_argument::{ROOM, room, rooms};
use crate::host::command::{
    ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};
use crate::jid::BareJid;
use crate::storage::RoomAffiliation;

pub(super) static MEMBERS: Command = Command {
    path: &["room", "members"],
    about: "List who belongs to a room, and who is banned",
    arguments: &[
        ROOM,
        optional(
            "affiliation",
            ArgumentKind::Choice(&["owner", "admin", "member", "outcast"]),
            "Only those with this affiliation",
        ),
    ],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(members(cx, arguments)),
};

async fn members(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let wanted = arguments.text("affiliation").and_then(RoomAffiliation::parse);
    let members = rooms(cx)?.members(&room(cx, arguments)?, wanted).await?;
    let rows = members.into_iter().map(|member| {
        vec![
            json!(member.jid),
            json!(member.affiliation.as_str()),
            json!(member.nick),
            json!(member.since.to_string()),
            json!(member.reason),
        ]
    });
    let columns = ["jid", "affiliation", "nick", "since", "reason"].map(Into::into).to_vec();
    Ok(Outcome::Table { columns, rows: rows.collect() })
}

pub(super) static AFFILIATE: Command = Command {
    path: &["room", "member"],
    about: "Make somebody a member, admin or owner of a room, or ban somebody",
    arguments: &[
        ROOM,
        needed(
            "user",
            ArgumentKind::Text,
            "user@domain, or user (see --domain), or @domain for all users of a domain",
        ),
        needed(
            "affiliation",
            ArgumentKind::Choice(&["owner", "admin", "member", "none", "outcast"]),
            "owner, admin, member, none or outcast (banned)",
        ),
        optional("reason", ArgumentKind::Text, "Reason shown to the user"),
    ],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(affiliate(cx, arguments)),
};

async fn affiliate(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let (rooms, room) = (rooms(cx)?, room(cx, arguments)?);
    let user = user(cx, arguments.required("user")?)?;
    let word = arguments.required("affiliation")?;
    let unknown = || CommandError::Invalid(format!("there is no affiliation `{word}`"));
    let affiliation = RoomAffiliation::parse(word).ok_or_else(unknown)?;
    rooms.set_affiliation(&room, &user, affiliation, arguments.text("reason")).await?;
    let text = match affiliation {
        RoomAffiliation::Owner => format!("{user} is an owner of {room}."),
        RoomAffiliation::Admin => format!("{user} is an admin of {room}."),
        RoomAffiliation::Member => format!("{user} is a member of {room}."),
        RoomAffiliation::None => format!("{user} does not belong to {room}."),
        RoomAffiliation::Outcast => format!("{user} is banned from {room}."),
    };
    let json = json!({ "room": room, "jid": user, "affiliation": word });
    Ok(Outcome::Done { text, json })
}

pub(super) static OCCUPANTS: Command = Command {
    path: &["room", "occupants"],
    about: "List who is in a room",
    arguments: &[ROOM],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(occupants(cx, arguments)),
};

async fn occupants(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let occupants = rooms(cx)?.occupants(&room(cx, arguments)?).await?;
    let mut rows = Vec::new();
    for occupant in &occupants {
        rows.extend(occupant.sessions.iter().map(|session| {
            vec![
                json!(occupant.nick),
                json!(session),
                json!(occupant.role),
                json!(occupant.affiliation.as_str()),
            ]
        }));
    }
    let columns = ["nick", "jid", "role", "affiliation"].map(Into::into).to_vec();
    Ok(Outcome::Table { columns, rows })
}

pub(super) static KICK: Command = Command {
    path: &["room", "kick"],
    about: "Remove an occupant from a room, who may enter again",
    arguments: &[
        ROOM,
        needed("nick", ArgumentKind::Text, "The nickname, see `room occupants`"),
        optional("reason", ArgumentKind::Text, "Reason shown to the occupants"),
    ],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(kick(cx, arguments)),
};

async fn kick(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let (rooms, room) = (rooms(cx)?, room(cx, arguments)?);
    let nick = arguments.required("nick")?;
    rooms.kick(&room, nick, arguments.text("reason")).await?;
    let text = format!("Removed {nick} from {room}.");
    Ok(Outcome::Done { text, json: json!({ "room": room, "nick": nick }) })
}

/// A user, or a domain after an `@`.
fn user(cx: &CommandCx, text: &str) -> Result<BareJid, CommandError> {
    match text.strip_prefix('@') {
        Some(domain) => BareJid::from_parts(None, domain)
            .map_err(|_| CommandError::Invalid(format!("`{domain}` is not a domain"))),
        None => cx.account(text),
    }
}
