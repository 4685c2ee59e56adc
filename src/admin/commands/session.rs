//! `session list` and `session close`. They need a running server.

use serde_json::json;

use super::account::{needed, optional};
use crate::host::command::{
    ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};
use crate::payload::datetime::Timestamp;

pub(super) static LIST: Command = Command {
    path: &["session", "list"],
    about: "List sessions, with those that wait for their client to reconnect",
    arguments: &[optional("account", ArgumentKind::Account, "Only sessions of this account")],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(list(cx, arguments)),
};

async fn list(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
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

pub(super) static CLOSE: Command = Command {
    path: &["session", "close"],
    about: "End one session, or all sessions of an account",
    arguments: &[
        needed(
            "jid",
            ArgumentKind::Jid,
            "Full JID of a session, or an account for all its sessions",
        ),
        optional("reason", ArgumentKind::Text, "Reason shown to the user"),
    ],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::NotRunning,
    run: |cx, arguments| Box::pin(close(cx, arguments)),
};

async fn close(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
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
