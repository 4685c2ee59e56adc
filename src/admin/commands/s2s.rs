//! `s2s list`, `show`, `close`, `allow`, `deny`, `reset` and `test`: streams to and from other servers. They need a running server.

use std::sync::Arc;

use serde_json::json;

use super::account::{needed, optional};
use super::facts::facts;
use crate::host::RemoteServers;
use crate::host::command::{
    Argument, ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission,
    WithoutServer,
};
use crate::jid::Jid;

const DOMAIN: Argument = needed("remote", ArgumentKind::Text, "The domain of another server");

pub(super) static LIST: Command = Command {
    path: &["s2s", "list"],
    about: "List streams to and from other servers",
    arguments: &[optional("remote", ArgumentKind::Text, "Only streams of this domain")],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(list(cx, arguments)),
};

async fn list(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let mut rows = servers(cx)?.streams();
    if let Some(text) = arguments.text("remote") {
        let domain = domain(text)?;
        rows.retain(|row| row.remote == domain);
    }
    let rows = rows.into_iter().map(|row| {
        vec![
            json!(row.remote),
            json!(row.local),
            json!(row.direction),
            json!(row.state),
            json!(row.peer.map(|peer| peer.to_string())),
            json!(row.seconds),
            json!(row.waiting),
        ]
    });
    let columns = COLUMNS.map(Into::into).to_vec();
    Ok(Outcome::Table { columns, rows: rows.collect() })
}

pub(super) static CLOSE: Command = Command {
    path: &["s2s", "close"],
    about: "End the streams to and from another server; what comes next opens new ones",
    arguments: &[DOMAIN],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(close(cx, arguments)),
};

async fn close(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let domain = domain(arguments.required("remote")?)?;
    let closed = servers(cx)?.close(&domain);
    let text = match closed {
        0 => return Err(CommandError::NotFound(format!("there is no stream of {domain}"))),
        1 => format!("Ended 1 stream of {domain}."),
        n => format!("Ended {n} streams of {domain}."),
    };
    Ok(Outcome::Done { text, json: json!({ "remote": domain, "closed": closed }) })
}

const PATTERN: Argument = needed(
    "remote",
    ArgumentKind::Text,
    "The domain of another server; `*.` before it: all below it, too",
);

pub(super) static ALLOW: Command = Command {
    path: &["s2s", "allow"],
    about: "Talk to a domain, whatever the configuration says",
    arguments: &[PATTERN],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(set_rule(cx, arguments, Some(true))),
};

pub(super) static DENY: Command = Command {
    path: &["s2s", "deny"],
    about: "Do not talk to a domain, whatever the configuration says, and end its streams",
    arguments: &[PATTERN],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(set_rule(cx, arguments, Some(false))),
};

pub(super) static RESET: Command = Command {
    path: &["s2s", "reset"],
    about: "Take `s2s allow` or `s2s deny` back: the configuration decides",
    arguments: &[PATTERN],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(set_rule(cx, arguments, None)),
};

async fn set_rule(
    cx: &CommandCx,
    arguments: &Arguments,
    is_allowed: Option<bool>,
) -> Result<Outcome, CommandError> {
    let text = arguments.required("remote")?;
    let pattern = match text.strip_prefix("*.") {
        Some(parent) => format!("*.{}", domain(parent)?),
        None => domain(text)?,
    };
    let done = servers(cx)?.set_rule(&pattern, is_allowed).await?;
    let text = match is_allowed {
        Some(true) => format!("This server talks to {pattern}."),
        Some(false) => format!("This server does not talk to {pattern}."),
        None if done => format!("The configuration decides about {pattern}."),
        None => {
            let none = format!("{pattern} was neither allowed nor denied by a command");
            return Err(CommandError::NotFound(none));
        }
    };
    Ok(Outcome::Done { text, json: json!({ "remote": pattern, "allowed": is_allowed }) })
}

pub(super) static SHOW: Command = Command {
    path: &["s2s", "show"],
    about: "Show what holds for another server, or which domains commands have allowed and denied",
    arguments: &[optional("remote", ArgumentKind::Text, "The domain of another server")],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(show(cx, arguments)),
};

async fn show(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let servers = servers(cx)?;
    if let Some(text) = arguments.text("remote") {
        return Ok(facts(&servers.show(&domain(text)?)));
    }
    let rows = servers.stored_rules().into_iter();
    let word = |is_allowed| if is_allowed { "allow" } else { "deny" };
    let rows = rows.map(|rule| vec![json!(rule.pattern), json!(word(rule.is_allowed))]);
    Ok(Outcome::Table { columns: vec!["remote".into(), "rule".into()], rows: rows.collect() })
}

pub(super) static TEST: Command = Command {
    path: &["s2s", "test"],
    about: "Connect to another server, and say what there is and what is wrong",
    arguments: &[DOMAIN],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(test(cx, arguments)),
};

async fn test(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let domain = domain(arguments.required("remote")?)?;
    let from = cx.only_domain.as_deref().unwrap_or(&cx.default_domain);
    Ok(facts(&servers(cx)?.test(from, &domain).await))
}

fn servers(cx: &CommandCx) -> Result<Arc<dyn RemoteServers>, CommandError> {
    let running = cx.running.as_ref().ok_or(CommandError::NotRunning)?;
    let none =
        || CommandError::NotFound("this server talks to no others: see `s2s.enabled`".to_owned());
    running.remote_servers().ok_or_else(none)
}

fn domain(text: &str) -> Result<String, CommandError> {
    match Jid::parse(text) {
        Ok(jid) if jid.local().is_none() && jid.resource().is_none() => Ok(jid.domain().to_owned()),
        _ => Err(CommandError::Invalid(format!("`{text}` is not a domain"))),
    }
}

const COLUMNS: [&str; 7] = ["remote", "local", "direction", "state", "peer", "seconds", "waiting"];
