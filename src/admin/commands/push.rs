//! `push list`, `push remove`, `push content`: the push services of an account (XEP-0357).

use serde_json::json;

use super::account::{ACCOUNT, must_exist, needed, optional};
use crate::host::command::{
    ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};
use crate::jid::{BareJid, Jid};
use crate::modules::push::Content;
use crate::storage::PushDevice;

pub(super) static LIST: Command = Command {
    path: &["push", "list"],
    about: "List the push services that wake the phones of an account",
    arguments: &[ACCOUNT],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(list(cx, arguments)),
};

async fn list(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = must_exist(cx, arguments).await?;
    let rows = cx.storage.push().registrations(&user).await?.into_iter().map(|one| {
        let (installation, resource) = match one.device {
            PushDevice::Installation(id) => (Some(id), None),
            PushDevice::Resource(resource) => (None, Some(resource)),
        };
        vec![
            json!(one.service),
            json!(one.node),
            json!(installation),
            json!(resource),
            json!(one.registered.to_string()),
        ]
    });
    let columns = ["service", "node", "client", "resource", "registered"];
    let columns = columns.map(Into::into).to_vec();
    Ok(Outcome::Table { columns, rows: rows.collect() })
}

pub(super) static REMOVE: Command = Command {
    path: &["push", "remove"],
    about: "Remove push services of an account until its clients register again",
    arguments: &[
        ACCOUNT,
        needed("service", ArgumentKind::Text, "Address of the push service"),
        optional("node", ArgumentKind::Text, "Only this node of the service"),
    ],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(remove(cx, arguments)),
};

async fn remove(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = must_exist(cx, arguments).await?;
    let text = arguments.required("service")?;
    let service = Jid::parse(text)
        .map_err(|error| CommandError::Invalid(format!("`{text}` is not an address: {error}")))?;
    let removed = cx.storage.push().remove(&user, &service, arguments.text("node")).await?;
    changed(cx, &user);
    let text = match removed {
        0 => {
            let text = format!("{user} has no such push service");
            return Err(CommandError::NotFound(text));
        }
        1 => format!("Removed 1 push service of {user}."),
        n => format!("Removed {n} push services of {user}."),
    };
    Ok(Outcome::Done { text, json: json!({ "account": user, "removed": removed }) })
}

pub(super) static CONTENT: Command = Command {
    path: &["push", "content"],
    about: "Show or set what push services are told of a message",
    arguments: &[
        ACCOUNT,
        optional(
            "set",
            ArgumentKind::Choice(Content::WORDS),
            "nothing, the sender, or the sender and the text (body)",
        ),
    ],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(content(cx, arguments)),
};

async fn content(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = must_exist(cx, arguments).await?;
    if let Some(word) = arguments.text("set") {
        Content::of_word(word).store(&*cx.storage, &user).await?;
        changed(cx, &user);
    }
    let content = Content::of(&*cx.storage, &user).await?;
    let what = match content {
        Content::Nothing => "neither the sender nor the text",
        Content::Sender => "the sender",
        Content::Body => "the sender and the text",
    };
    let text = format!("Push services of {user} are told {what} of a message.");
    Ok(Outcome::Done { text, json: json!({ "account": user, "content": content.word() }) })
}

/// The running server forgets what it knew.
fn changed(cx: &CommandCx, user: &BareJid) {
    if let Some(running) = &cx.running {
        running.push_changed(user);
    }
}
