//! `device list` and `device remove`: the clients that have access to an account.

use serde_json::json;

use super::account::{ACCOUNT, must_exist, needed};
use crate::host::command::{
    ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};
use crate::host::{Client, clients_of, revoke_client};
use crate::jid::BareJid;

pub(super) static LIST: Command = Command {
    path: &["device", "list"],
    about: "List the clients that have access to an account",
    arguments: &[ACCOUNT],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(list(cx, arguments)),
};

async fn list(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = must_exist(cx, arguments).await?;
    let rows = clients(cx, &user).await?.into_iter().map(|client| {
        vec![
            json!(client.id),
            json!(client.software),
            json!(client.device),
            json!(!client.sessions.is_empty()),
            json!(client.first_seen.to_string()),
            json!(client.last_seen.to_string()),
            json!(client.knows_password),
            json!(client.has_token),
        ]
    });
    let columns = COLUMNS.map(Into::into).to_vec();
    Ok(Outcome::Table { columns, rows: rows.collect() })
}

pub(super) static REMOVE: Command = Command {
    path: &["device", "remove"],
    about: "Log out a client of an account: end its sessions and tokens, and forget it",
    arguments: &[
        ACCOUNT,
        needed("device", ArgumentKind::Text, "The id of the client, as `device list` shows it"),
    ],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(remove(cx, arguments)),
};

async fn remove(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = must_exist(cx, arguments).await?;
    let id = arguments.required("device")?;
    let clients = clients(cx, &user).await?;
    let client = clients.iter().find(|client| client.id == id);
    let no_such = || CommandError::NotFound(format!("{user} has no client `{id}`"));
    let client = client.ok_or_else(no_such)?;
    let closed = match &cx.running {
        Some(running) => running.revoke_client(&user, client, REASON).await?,
        None => {
            let now = cx.clock.now();
            revoke_client(&*cx.storage, None, &user, client, true, now).await?;
            0
        }
    };
    let text = match (client.knows_password, client.has_certificate()) {
        (true, _) => format!(
            "Logged out {id} of {user}. It knows the password: to lock it out, change the \
             password with `waxwing user passwd`."
        ),
        (false, true) => format!("Logged out {id} of {user}. Its certificate is refused now."),
        (false, false) => format!("Logged out {id} of {user}."),
    };
    let knows_password = client.knows_password;
    let json = json!({
        "account": user, "device": id, "closed": closed, "knows_password": knows_password,
    });
    Ok(Outcome::Done { text, json })
}

async fn clients(cx: &CommandCx, user: &BareJid) -> Result<Vec<Client>, CommandError> {
    let mut sessions = cx.running.as_ref().map(|running| running.sessions()).unwrap_or_default();
    sessions.retain(|session| session.jid.bare_str() == user.as_str());
    Ok(clients_of(&*cx.storage, user, cx.clock.now(), &sessions).await?)
}

/// What the client is told.
const REASON: &str = "the administrator has logged out this client";

const COLUMNS: [&str; 8] = [
    "device",
    "software",
    "machine",
    "connected",
    "first_seen",
    "last_seen",
    "knows_password",
    "has_token",
];
