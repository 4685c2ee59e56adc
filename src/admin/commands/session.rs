//! `session list` and `session close`. They need a running server.

use async_trait::async_trait;
use serde_json::json;

use super::account::{needed, optional};
use crate::config::Config;
use crate::host::command::{
    Argument, ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission,
};
use crate::payload::datetime::Timestamp;

/// `session list`
pub(super) struct List;

/// `session close`
pub(super) struct Close;

#[async_trait]
impl Command for List {
    fn path(&self) -> &'static [&'static str] {
        &["session", "list"]
    }

    fn about(&self) -> &'static str {
        "List sessions, with those that wait for their client to reconnect"
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[optional("account", ArgumentKind::Account, "Only sessions of this account")] }
    }

    fn permission(&self) -> Permission {
        Permission::Read
    }

    fn without_server(&self, _: &Config) -> Option<Result<Outcome, CommandError>> {
        Some(Err(CommandError::NotRunning))
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
        let running = cx.running.as_ref().ok_or(CommandError::NotRunning)?;
        let account = arguments.text("account").map(|text| cx.account(text)).transpose()?;
        let mut sessions = running.sessions();
        match (account, &cx.only_domain) {
            (Some(account), _) => sessions.retain(|session| session.jid.to_bare() == account),
            (None, Some(domain)) => sessions.retain(|session| session.jid.domain() == domain),
            (None, None) => {}
        }
        sessions.sort_by(|a, b| a.jid.cmp(&b.jid));
        let rows = sessions.into_iter().map(|s| {
            let time = |at: Option<Timestamp>| json!(at.map(|at| at.to_string()));
            vec![
                json!(s.jid),
                json!(s.client),
                json!(s.peer),
                json!(s.tls),
                json!(s.seconds),
                json!(s.presence),
                json!(s.status),
                json!(s.priority),
                time(s.waiting_since),
                time(s.waiting_until),
            ]
        });
        let columns = COLUMNS.map(Into::into).to_vec();
        Ok(Outcome::Table { columns, rows: rows.collect() })
    }
}

#[async_trait]
impl Command for Close {
    fn path(&self) -> &'static [&'static str] {
        &["session", "close"]
    }

    fn about(&self) -> &'static str {
        "End one session, or all sessions of an account"
    }

    fn arguments(&self) -> &'static [Argument] {
        const {
            &[
                needed(
                    "jid",
                    ArgumentKind::Jid,
                    "Full JID of a session, or an account for all its sessions",
                ),
                optional("reason", ArgumentKind::Text, "Reason shown to the user"),
            ]
        }
    }

    fn permission(&self) -> Permission {
        Permission::Write
    }

    fn without_server(&self, _: &Config) -> Option<Result<Outcome, CommandError>> {
        Some(Err(CommandError::NotRunning))
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
        let running = cx.running.as_ref().ok_or(CommandError::NotRunning)?;
        let jid = cx.jid(arguments.required("jid")?)?;
        let closed = running.close(&jid, arguments.text("reason")).await;
        if closed == 0 {
            return Err(CommandError::NotFound(format!("{jid} has no session")));
        }
        let text = match closed {
            1 => format!("Closed 1 session of {jid}."),
            n => format!("Closed {n} sessions of {jid}."),
        };
        Ok(Outcome::Done { text, json: json!({ "jid": jid, "closed": closed }) })
    }
}

const COLUMNS: [&str; 10] = [
    "jid",
    "client",
    "peer",
    "tls",
    "seconds",
    "presence",
    "status",
    "priority",
    "waiting_since",
    "waiting_until",
];
