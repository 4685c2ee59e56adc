//! `user add`, `del`, `admin` and `passwd`. A new password, and the removal of an account, end the sessions
//! of the account.

use serde_json::json;

use super::account::{ACCOUNT, must_be_served, must_exist, needed, no_such, optional};
use super::new_password::{PASSWORD, RANDOM, password_of, with_password};
use crate::host::command::{
    ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};
use crate::jid::BareJid;
use crate::storage::{Created, NewAccount};

pub(super) static ADD: Command = Command {
    path: &["user", "add"],
    about: "Create an account",
    arguments: &[
        ACCOUNT,
        PASSWORD,
        RANDOM,
        optional(
            "admin",
            ArgumentKind::Flag,
            "Make it an administrator: it may run these commands from a chat client",
        ),
    ],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(add(cx, arguments)),
};

async fn add(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = cx.account(arguments.required("account")?)?;
    must_be_served(cx, &user)?;
    let exists = || CommandError::Conflict(format!("account {user} already exists"));
    // Before the keys are derived, which is expensive.
    if cx.storage.accounts().find(&user).await?.is_some() {
        return Err(exists());
    }
    let password = password_of(arguments)?;
    let keys = cx.keys(password.as_str()).await?;
    let (created, admin) = (cx.clock.now(), arguments.flag("admin"));
    let account = NewAccount { user: user.clone(), keys, created, admin };
    if cx.storage.accounts().create(&[account]).await? != [Created::Made] {
        return Err(exists());
    }
    if let Some(running) = cx.running.as_ref().filter(|_| admin) {
        running.admins_changed();
    }
    let text = format!("Created account {user}.");
    Ok(with_password(text, json!({ "account": user, "admin": admin }), password))
}

pub(super) static DEL: Command = Command {
    path: &["user", "del"],
    about: "Remove an account and all its data, and end its sessions",
    arguments: &[ACCOUNT],
    permission: Permission::Write,
    question: Some(|cx, arguments| Box::pin(del_question(cx, arguments))),
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(del(cx, arguments)),
};

async fn del_question(
    cx: &CommandCx,
    arguments: &Arguments,
) -> Result<Option<String>, CommandError> {
    let user = must_exist(cx, arguments).await?;
    Ok(Some(format!(
        "Remove the account {user} with its contacts, its archive and everything else that is \
         kept for it?"
    )))
}

async fn del(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = cx.account(arguments.required("account")?)?;
    let closed = match &cx.running {
        Some(running) => running.remove_account(&user).await?,
        // No server runs: the contacts learn it when they ask for the presence of the account.
        None => match cx.storage.accounts().remove(&user).await? {
            true => Some(end_saved_sessions(cx, &user).await?),
            false => None,
        },
    };
    let closed = closed.ok_or_else(|| no_such(cx, &user))?;
    let text = format!("Removed account {user}{}.", and_closed(closed));
    Ok(Outcome::Done { text, json: json!({ "account": user, "closed": closed }) })
}

pub(super) static ADMIN: Command = Command {
    path: &["user", "admin"],
    about: "Make an account an administrator, or no longer",
    arguments: &[ACCOUNT, needed("role", ArgumentKind::Choice(&["on", "off"]), "on or off")],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(admin(cx, arguments)),
};

async fn admin(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = cx.account(arguments.required("account")?)?;
    let admin = arguments.required("role")? == "on";
    if !cx.storage.accounts().set_admin(&user, admin).await? {
        return Err(no_such(cx, &user));
    }
    if let Some(running) = &cx.running {
        running.admins_changed();
    }
    let is_named = cx.config.admin.accounts.contains(&user);
    let text = match (admin, is_named) {
        (true, _) => format!("{user} is an administrator."),
        (false, false) => format!("{user} is not an administrator."),
        (false, true) => {
            format!(
                "{user} stays an administrator: `admin.accounts` of the configuration names it."
            )
        }
    };
    Ok(Outcome::Done { text, json: json!({ "account": user, "admin": admin || is_named }) })
}

pub(super) static PASSWD: Command = Command {
    path: &["user", "passwd"],
    about: "Set a new password and end the account's sessions",
    arguments: &[
        ACCOUNT,
        PASSWORD,
        RANDOM,
        optional(
            "keep_sessions",
            ArgumentKind::Flag,
            "Do not end sessions that logged in with the old password",
        ),
    ],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(passwd(cx, arguments)),
};

async fn passwd(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = cx.account(arguments.required("account")?)?;
    if cx.storage.accounts().find(&user).await?.is_none() {
        return Err(no_such(cx, &user));
    }
    let password = password_of(arguments)?;
    let keys = cx.keys(password.as_str()).await?;
    if !cx.storage.accounts().set_keys(&user, &keys).await? {
        return Err(no_such(cx, &user));
    }
    let closed = match arguments.flag("keep_sessions") {
        true => 0,
        false => close_all(cx, &user, "the password was changed").await?,
    };
    let text = format!("Changed the password of {user}{}.", and_closed(closed));
    Ok(with_password(text, json!({ "account": user, "closed": closed }), password))
}

/// Ends the sessions of an account: those of the running server, or those that are saved for the next
/// one. Answers how many.
async fn close_all(cx: &CommandCx, user: &BareJid, reason: &str) -> Result<usize, CommandError> {
    match &cx.running {
        Some(running) => Ok(running.close(user, Some(reason)).await),
        None => end_saved_sessions(cx, user).await,
    }
}

/// Ends the sessions of an account that the last server has saved for the next one. Answers how many.
async fn end_saved_sessions(cx: &CommandCx, user: &BareJid) -> Result<usize, CommandError> {
    let ended = cx.storage.resumption().end_all(user, cx.clock.now()).await?;
    Ok(usize::try_from(ended).unwrap_or(usize::MAX))
}

fn and_closed(sessions: usize) -> String {
    match sessions {
        0 => String::new(),
        1 => " and closed 1 session".to_owned(),
        n => format!(" and closed {n} sessions"),
    }
}
