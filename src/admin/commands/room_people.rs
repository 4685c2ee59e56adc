//! `room members`, `affiliate`, `occupants` and `kick`: who belongs to a room, and who is in it. They need a running
//! server.

use async_trait::async_trait;
use serde_json::json;

use super::account::{needed, optional};
use super::room_argument::{ROOM, room, rooms, without_server};
use crate::config::Config;
use crate::host::command::{
    Argument, ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission,
};
use crate::jid::BareJid;
use crate::storage::RoomAffiliation;

/// `room affiliate`
pub(super) struct Affiliate;

/// `room kick`
pub(super) struct Kick;

/// `room members`
pub(super) struct Members;

/// `room occupants`
pub(super) struct Occupants;

#[async_trait]
impl Command for Members {
    fn path(&self) -> &'static [&'static str] {
        &["room", "members"]
    }

    fn about(&self) -> &'static str {
        "List who belongs to a room, and who is banned"
    }

    fn arguments(&self) -> &'static [Argument] {
        const {
            &[
                ROOM,
                optional(
                    "affiliation",
                    ArgumentKind::Choice(&["owner", "admin", "member", "outcast"]),
                    "Only those with this affiliation",
                ),
            ]
        }
    }

    fn permission(&self) -> Permission {
        Permission::Read
    }

    fn without_server(&self, _: &Config) -> Option<Result<Outcome, CommandError>> {
        without_server()
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
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
}

#[async_trait]
impl Command for Affiliate {
    fn path(&self) -> &'static [&'static str] {
        &["room", "affiliate"]
    }

    fn about(&self) -> &'static str {
        "Make somebody a member, admin or owner of a room, or ban somebody"
    }

    fn arguments(&self) -> &'static [Argument] {
        const {
            &[
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
            ]
        }
    }

    fn permission(&self) -> Permission {
        Permission::Write
    }

    fn without_server(&self, _: &Config) -> Option<Result<Outcome, CommandError>> {
        without_server()
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
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
}

#[async_trait]
impl Command for Occupants {
    fn path(&self) -> &'static [&'static str] {
        &["room", "occupants"]
    }

    fn about(&self) -> &'static str {
        "List who is in a room"
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
}

#[async_trait]
impl Command for Kick {
    fn path(&self) -> &'static [&'static str] {
        &["room", "kick"]
    }

    fn about(&self) -> &'static str {
        "Remove an occupant from a room, who may enter again"
    }

    fn arguments(&self) -> &'static [Argument] {
        const {
            &[
                ROOM,
                needed("nick", ArgumentKind::Text, "The nickname, see `room occupants`"),
                optional("reason", ArgumentKind::Text, "Reason shown to the occupants"),
            ]
        }
    }

    fn permission(&self) -> Permission {
        Permission::Write
    }

    fn without_server(&self, _: &Config) -> Option<Result<Outcome, CommandError>> {
        without_server()
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
        let (rooms, room) = (rooms(cx)?, room(cx, arguments)?);
        let nick = arguments.required("nick")?;
        rooms.kick(&room, nick, arguments.text("reason")).await?;
        let text = format!("Removed {nick} from {room}.");
        Ok(Outcome::Done { text, json: json!({ "room": room, "nick": nick }) })
    }
}

/// A user, or a domain after an `@`.
fn user(cx: &CommandCx, text: &str) -> Result<BareJid, CommandError> {
    match text.strip_prefix('@') {
        Some(domain) => BareJid::from_parts(None, domain)
            .map_err(|_| CommandError::Invalid(format!("`{domain}` is not a domain"))),
        None => cx.account(text),
    }
}
