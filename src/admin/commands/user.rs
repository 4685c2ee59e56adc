//! `user add`, `del`, `admin`, `passwd`, `list` and `show`. A new password, and the removal of an account,
//! end the sessions of the account.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::account::{ACCOUNT, must_be_served, must_exist, needed, no_such, optional};
use super::facts::facts;
use super::quota::Kept;
use crate::admin::password;
use crate::config::prepare_domain;
use crate::host::command::{
    Argument, ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission,
};
use crate::jid::BareJid;
use crate::storage::{Account, Created, NewAccount};

/// `user add`
pub(super) struct Add;

/// `user del`
pub(super) struct Del;

/// `user admin`
pub(super) struct Admin;

/// `user passwd`
pub(super) struct Passwd;

/// `user list`
pub(super) struct List;

/// `user show`
pub(super) struct Show;

#[async_trait]
impl Command for Add {
    fn path(&self) -> &'static [&'static str] {
        &["user", "add"]
    }

    fn about(&self) -> &'static str {
        "Create an account"
    }

    fn arguments(&self) -> &'static [Argument] {
        const {
            &[
                ACCOUNT,
                PASSWORD,
                RANDOM,
                optional(
                    "admin",
                    ArgumentKind::Flag,
                    "Make it an administrator: it may run these commands from a chat client",
                ),
            ]
        }
    }

    fn permission(&self) -> Permission {
        Permission::Write
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
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
}

#[async_trait]
impl Command for Del {
    fn path(&self) -> &'static [&'static str] {
        &["user", "del"]
    }

    fn about(&self) -> &'static str {
        "Remove an account and all its data, and end its sessions"
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[ACCOUNT] }
    }

    fn permission(&self) -> Permission {
        Permission::Write
    }

    fn is_destructive(&self) -> bool {
        true
    }

    async fn question(
        &self,
        cx: &CommandCx,
        arguments: &Arguments,
    ) -> Result<Option<String>, CommandError> {
        let user = must_exist(cx, arguments).await?;
        Ok(Some(format!(
            "Remove the account {user} with its contacts, its archive and everything else that is \
             kept for it?"
        )))
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
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
}

#[async_trait]
impl Command for Admin {
    fn path(&self) -> &'static [&'static str] {
        &["user", "admin"]
    }

    fn about(&self) -> &'static str {
        "Make an account an administrator, or no longer"
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[ACCOUNT, needed("role", ArgumentKind::Choice(&["on", "off"]), "on or off")] }
    }

    fn permission(&self) -> Permission {
        Permission::Write
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
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
}

#[async_trait]
impl Command for Passwd {
    fn path(&self) -> &'static [&'static str] {
        &["user", "passwd"]
    }

    fn about(&self) -> &'static str {
        "Set a new password and end the account's sessions"
    }

    fn arguments(&self) -> &'static [Argument] {
        const {
            &[
                ACCOUNT,
                PASSWORD,
                RANDOM,
                optional(
                    "keep_sessions",
                    ArgumentKind::Flag,
                    "Do not end sessions that logged in with the old password",
                ),
            ]
        }
    }

    fn permission(&self) -> Permission {
        Permission::Write
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
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
}

#[async_trait]
impl Command for List {
    fn path(&self) -> &'static [&'static str] {
        &["user", "list"]
    }

    fn about(&self) -> &'static str {
        "List accounts"
    }

    fn arguments(&self) -> &'static [Argument] {
        const {
            &[
                optional("host", ArgumentKind::Text, "Only accounts of this domain"),
                optional("after", ArgumentKind::Account, "Start after this account"),
                optional("limit", ArgumentKind::Number, "At most this many [default: all]"),
            ]
        }
    }

    fn permission(&self) -> Permission {
        Permission::Read
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
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
}

#[async_trait]
impl Command for Show {
    fn path(&self) -> &'static [&'static str] {
        &["user", "show"]
    }

    fn about(&self) -> &'static str {
        "Show an account"
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[ACCOUNT] }
    }

    fn permission(&self) -> Permission {
        Permission::Read
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
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
}

enum Chosen {
    Given(String),
    Random(String),
}

impl Chosen {
    fn as_str(&self) -> &str {
        match self {
            Self::Given(password) | Self::Random(password) => password,
        }
    }
}

fn password_of(arguments: &Arguments) -> Result<Chosen, CommandError> {
    match (arguments.text("password"), arguments.flag("random")) {
        (Some(password), false) => Ok(Chosen::Given(password.to_owned())),
        (None, true) => Ok(Chosen::Random(password::random()?)),
        _ => Err(CommandError::Invalid("either a password or `random` must be given".to_owned())),
    }
}

/// Shows a password that was generated. The caller knows one that was given.
fn with_password(text: String, mut json: Value, password: Chosen) -> Outcome {
    match password {
        Chosen::Given(_) => Outcome::Done { text, json },
        Chosen::Random(password) => {
            let text = format!("{text}\nPassword: {password}");
            json["password"] = Value::String(password);
            Outcome::Done { text, json }
        }
    }
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

/// A domain that is served, or that still has accounts because it was served once.
async fn known_domain(cx: &CommandCx, text: &str) -> Result<String, CommandError> {
    let domain = prepare_domain(text)
        .map_err(|help| CommandError::Invalid(format!("`{text}` is not a domain: {help}")))?;
    if !cx.serves(&domain) && cx.storage.accounts().count(Some(&domain)).await? == 0 {
        return Err(cx.not_served(&domain));
    }
    Ok(domain)
}

const PASSWORD: Argument = optional("password", ArgumentKind::Password, "The password");

const RANDOM: Argument =
    optional("random", ArgumentKind::Flag, "Generate a random password and print it");

/// Accounts fetched at once.
const PAGE: usize = 1000;
