//! `token create`, `token list` and `token revoke`: tokens for the HTTP API.

use serde_json::json;

use super::account::{ACCOUNT, must_exist, needed, optional};
use crate::host::command::{
    ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};
use crate::host::{NewApiToken, create_api_token};

pub(super) static CREATE: Command = Command {
    path: &["token", "create"],
    about: "Make a token with which a program uses the HTTP API for an account",
    arguments: &[
        ACCOUNT,
        needed("name", ArgumentKind::Text, "What it is for, such as `weather bot`"),
        optional("scopes", ArgumentKind::Text, "What it may do: `read,send` [default: both]"),
        optional("days", ArgumentKind::Number, "Days until it expires [default: never]"),
    ],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(create(cx, arguments)),
};

async fn create(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = must_exist(cx, arguments).await?;
    let new = NewApiToken {
        name: arguments.required("name")?,
        scopes: arguments.text("scopes").unwrap_or("read send"),
        days: arguments.number("days"),
    };
    let (limit, now) = (cx.config.api.tokens, cx.clock.now());
    let (secret, token) = create_api_token(&*cx.storage, &user, new, limit, now).await?;
    let until = token.expires.map_or("until it is revoked".into(), |end| format!("until {end}"));
    let text = format!(
        "A token for {user} ({}), valid {until}. It is shown only now:\n\n    {secret}\n\n\
         Its id is {}.",
        token.scopes, token.id
    );
    let json = json!({
        "account": user, "token": secret, "id": token.id, "name": token.name,
        "scopes": token.scopes, "expires": token.expires.map(|end| end.to_string()),
    });
    Ok(Outcome::Done { text, json })
}

pub(super) static LIST: Command = Command {
    path: &["token", "list"],
    about: "List the tokens for the HTTP API that an account has",
    arguments: &[ACCOUNT],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(list(cx, arguments)),
};

async fn list(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = must_exist(cx, arguments).await?;
    let rows = cx.storage.api_tokens().api_tokens(&user).await?.into_iter().map(|token| {
        vec![
            json!(token.id),
            json!(token.name),
            json!(token.scopes),
            json!(token.created.to_string()),
            json!(token.expires.map(|at| at.to_string())),
            json!(token.last_used.map(|at| at.to_string())),
        ]
    });
    let columns = COLUMNS.map(Into::into).to_vec();
    Ok(Outcome::Table { columns, rows: rows.collect() })
}

pub(super) static REVOKE: Command = Command {
    path: &["token", "revoke"],
    about: "Revoke a token for the HTTP API",
    arguments: &[
        ACCOUNT,
        needed("token", ArgumentKind::Text, "The id of the token, as `token list` shows it"),
    ],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(revoke(cx, arguments)),
};

async fn revoke(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = must_exist(cx, arguments).await?;
    let id = arguments.required("token")?;
    if !cx.storage.api_tokens().remove_api_token(&user, id).await? {
        return Err(CommandError::NotFound(format!("{user} has no token `{id}`")));
    }
    let text = format!("Revoked {id} of {user}.");
    Ok(Outcome::Done { text, json: json!({ "account": user, "id": id }) })
}

const COLUMNS: [&str; 6] = ["id", "name", "scopes", "created", "expires", "last_used"];
