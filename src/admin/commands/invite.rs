//! `invite create`, `list` and `revoke`: invitations to make an account.

use std::time::Duration;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;

use super::account::{needed, no_such, optional};
use crate::host::command::{
    ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};
use crate::host::invitations::{self, NotInvited, Wish};
use crate::jid::BareJid;
use crate::storage::{InvitationId, InvitationKind};

pub(super) static CREATE: Command = Command {
    path: &["invite", "create"],
    about: "Make a link by which somebody makes an account",
    arguments: &[
        optional(
            "name",
            ArgumentKind::Account,
            "The address of the new account; else it is chosen",
        ),
        optional(
            "inviter",
            ArgumentKind::Account,
            "An account that becomes a contact of the new one",
        ),
        optional("uses", ArgumentKind::Number, "How many accounts may be made [default: 1]"),
        optional("days", ArgumentKind::Number, "How long it works [default: invitations.lifetime]"),
    ],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(create(cx, arguments)),
};

async fn create(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let account = |name| arguments.text(name).map(|text| cx.account(text)).transpose();
    let (name, inviter) = (account("name")?, account("inviter")?);
    let domain = name.as_ref().or(inviter.as_ref()).map_or(&*cx.default_domain, |jid| jid.domain());
    let domain = domain.to_owned();
    if !cx.serves(&domain) {
        return Err(cx.not_served(&domain));
    }
    if let Some(inviter) = &inviter {
        if name.as_ref().is_some_and(|name| name.domain() != inviter.domain()) {
            let text = "the new account and the inviter must have the same domain";
            return Err(CommandError::Invalid(text.into()));
        }
        if cx.storage.accounts().find(inviter).await?.is_none() {
            return Err(no_such(cx, inviter));
        }
    }
    let uses = number(arguments, "uses", 10_000)?.unwrap_or(1);
    if uses > 1 && name.is_some() {
        return Err(CommandError::Invalid("one name can be given to one account only".into()));
    }
    let lifetime = number(arguments, "days", 3650)?.map(|days| Duration::from_secs(days * 86_400));
    let wish = Wish {
        kind: InvitationKind::Account,
        also: inviter.is_some(),
        name,
        uses: u32::try_from(uses).unwrap_or(u32::MAX),
        lifetime,
    };
    let host = || BareJid::parse(&domain).map_err(|_| cx.not_served(&domain));
    let owner = inviter.map_or_else(host, Ok)?;
    let now = cx.clock.now();
    let issued = invitations::create(&*cx.storage, &cx.config, now, &owner, true, wish).await;
    let issued = issued.map_err(|refused| match refused {
        NotInvited::Storage(error) => CommandError::Storage(error),
        NotInvited::Taken(_) => CommandError::Conflict(refused.to_string()),
        NotInvited::Disabled | NotInvited::TooMany => CommandError::Invalid(refused.to_string()),
    })?;
    let link = invitations::uri(&issued.invitation, &issued.token);
    let expires = issued.invitation.expires.to_string();
    let page = invitations::landing_url(&cx.config, &issued.invitation, &issued.token);
    let shown = page.as_ref().unwrap_or(&link);
    let mut text = format!("{link}\nIt works until {expires}.");
    if let Some(page) = &page {
        text = format!("{page}\nFor a chat client: {text}");
    }
    // A chat client shows no picture made of characters.
    if cx.caller.uid().is_some() {
        let code = QrCode::new(shown).map_err(|e| CommandError::Failed(e.to_string()))?;
        // For a terminal with light characters on a dark ground.
        let code = code.render::<Dense1x2>();
        let (dark, light) = (Dense1x2::Light, Dense1x2::Dark);
        let code = { code }.dark_color(dark).light_color(light).build();
        text = format!("{code}\n\n{text}");
    }
    let id = issued.invitation.id.to_string();
    let json = json!({ "id": id, "uri": link, "landing_url": page, "expires": expires });
    Ok(Outcome::Done { text, json })
}

/// A number between 1 and `most`, if it was given.
fn number(arguments: &Arguments, name: &str, most: u64) -> Result<Option<u64>, CommandError> {
    match arguments.number(name) {
        Some(n) if n == 0 || n > most => {
            Err(CommandError::Invalid(format!("`{name}` is between 1 and {most}")))
        }
        other => Ok(other),
    }
}

pub(super) static LIST: Command = Command {
    path: &["invite", "list"],
    about: "List invitations, newest first",
    arguments: &[optional("inviter", ArgumentKind::Account, "Only those of this account")],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(list(cx, arguments)),
};

async fn list(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let inviter = arguments.text("inviter").map(|text| cx.account(text)).transpose()?;
    let now = cx.clock.now();
    let mut found = cx.storage.invitations().invitations(inviter.as_ref(), SHOWN).await?;
    if let Some(domain) = &cx.only_domain {
        found.retain(|known| known.inviter.domain() == domain);
    }
    let rows = found.into_iter().map(|known| {
        let state = match (known.uses, known.expires > now) {
            (0, _) => "used",
            (_, false) => "expired",
            _ => "open",
        };
        vec![
            json!(known.id.to_string()),
            json!(known.inviter),
            json!(known.kind.as_str()),
            json!(known.makes_account()),
            json!(known.name),
            json!(known.uses),
            json!(state),
            json!(known.created.to_string()),
            json!(known.expires.to_string()),
        ]
    });
    let columns = COLUMNS.map(Into::into).to_vec();
    Ok(Outcome::Table { columns, rows: rows.collect() })
}

pub(super) static REVOKE: Command = Command {
    path: &["invite", "revoke"],
    about: "Take an invitation back: its link does not work any more",
    arguments: &[needed("id", ArgumentKind::Text, "The id, as `invite list` shows it")],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(revoke(cx, arguments)),
};

async fn revoke(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let text = arguments.required("id")?;
    let no_such = || CommandError::NotFound(format!("there is no invitation `{text}`"));
    let id = InvitationId::parse(text).ok_or_else(no_such)?;
    if !cx.storage.invitations().remove_invitation(None, id).await? {
        return Err(no_such());
    }
    let text = format!("Took back the invitation {id}.");
    Ok(Outcome::Done { text, json: json!({ "id": id.to_string() }) })
}

/// How many are shown at most.
const SHOWN: usize = 1000;
const COLUMNS: [&str; 9] =
    ["id", "inviter", "kind", "account", "name", "uses", "state", "created", "expires"];
