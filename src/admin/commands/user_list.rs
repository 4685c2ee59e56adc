//! `user list` and `user show`.

use serde_json::{Value, json};

use super::account::{ACCOUNT, no_such, optional};
use super::facts::facts;
use super::quota::Kept;
use crate::config::prepare_domain;
use crate::host::command::{
    ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};
use crate::storage::Account;

pub(super) static LIST: Command = Command {
    path: &["user", "list"],
    about: "List accounts",
    arguments: &[
        optional("host", ArgumentKind::Text, "Only accounts of this domain"),
        optional("after", ArgumentKind::Account, "Start after this account"),
        optional("limit", ArgumentKind::Number, "At most this many [default: all]"),
    ],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(list(cx, arguments)),
};

async fn list(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let host = match arguments.text("host") {
        Some(text) => Some(known_domain(cx, text).await?),
        None => cx.only_domain.clone(),
    };
    let mut after = arguments.text("after").map(|text| cx.account(text)).transpose()?;
    let limit = arguments.number("limit").and_then(|n| usize::try_from(n).ok());
    let limit = limit.unwrap_or(usize::MAX);
    let mut rows = Vec::new();
    while rows.len() < limit {
        let wanted = PAGE.min(limit - rows.len());
        let page = cx.storage.accounts().list(host.as_deref(), after.as_ref(), wanted).await?;
        let is_last = page.len() < wanted;
        after = page.last().map(|account| account.user.clone());
        rows.extend(page.iter().map(|account| row(cx, account)));
        if is_last {
            break;
        }
    }
    let columns = ["account", "created", "last_login", "admin"].map(Into::into).to_vec();
    Ok(Outcome::Table { columns, rows })
}

pub(super) static SHOW: Command = Command {
    path: &["user", "show"],
    about: "Show an account",
    arguments: &[ACCOUNT],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(show(cx, arguments)),
};

async fn show(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = cx.account(arguments.required("account")?)?;
    let account = cx.storage.accounts().find(&user).await?.ok_or_else(|| no_such(cx, &user))?;
    let (_, contacts) = cx.storage.roster().load(&user).await?;
    let contacts = contacts.iter().filter(|item| item.listed).count();
    let sessions = cx.running.as_ref().map(|running| {
        let sessions = running.sessions().into_iter();
        let own = sessions.filter(|session| session.jid.to_bare() == user);
        own.map(|session| session.jid.to_string()).collect::<Vec<_>>()
    });
    let mut all = vec![
        ("account", json!(user)),
        ("created", json!(account.created.to_string())),
        ("last_login", json!(account.last_login.map(|at| at.to_string()))),
        ("admin", json!(is_admin(cx, &account))),
        ("contacts", json!(contacts)),
        ("offline_messages", json!(cx.storage.archive().waiting_count(&user).await?)),
        ("sessions", json!(sessions)),
    ];
    all.extend(Kept::of(cx, &user).await?.facts());
    Ok(facts(&all))
}

fn row(cx: &CommandCx, account: &Account) -> Vec<Value> {
    let last_login = account.last_login.map(|at| at.to_string());
    let created = account.created.to_string();
    vec![json!(account.user), json!(created), json!(last_login), json!(is_admin(cx, account))]
}

/// Whether it is an administrator, by its role or because the configuration names it.
fn is_admin(cx: &CommandCx, account: &Account) -> bool {
    account.admin || cx.config.admin.accounts.contains(&account.user)
}

/// A domain that is served, or that still has accounts because it was served once.
async fn known_domain(cx: &CommandCx, text: &str) -> Result<String, CommandError> {
    let domain = prepare_domain(text)
        .map_err(|help| CommandError::Invalid(format!("`{text}` is not a domain: {help}")))?;
    if !cx.serves(&domain) && cx.storage.accounts().count(Some(&domain)).await? == 0 {
        return Err(cx.not_served(&domain));
    }
    Ok(domain)
}

/// Accounts fetched at once.
const PAGE: usize = 1000;
