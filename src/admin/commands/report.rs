//! `report list`, `show` and `remove`: what users have reported of spam and abuse (XEP-0377).

use serde_json::json;

use super::account::needed;
use crate::host::command::{
    Argument, ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission,
    WithoutServer,
};
use crate::host::reports::{self, Queued};
use crate::jid::BareJid;

const ID: Argument = needed("id", ArgumentKind::Text, "The id of the report, see `report list`");

pub(super) static LIST: Command = Command {
    path: &["report", "list"],
    about: "List what users have reported of spam and abuse",
    arguments: &[],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(list(cx, arguments)),
};

async fn list(cx: &CommandCx, _: &Arguments) -> Result<Outcome, CommandError> {
    let mut rows = Vec::new();
    for host in hosts(cx) {
        for Queued { id, at, report } in reports::all(&*cx.storage, &host).await? {
            rows.push(vec![
                json!(id),
                json!(at.to_string()),
                json!(report.by),
                json!(report.about),
                json!(report.reason),
            ]);
        }
    }
    let columns = ["id", "at", "by", "about", "reason"].map(Into::into).to_vec();
    Ok(Outcome::Table { columns, rows })
}

pub(super) static SHOW: Command = Command {
    path: &["report", "show"],
    about: "Show a report with the messages that it is about",
    arguments: &[ID],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(show(cx, arguments)),
};

async fn show(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let (_, Queued { id, at, report }) = find(cx, arguments).await?;
    let may = |is_allowed| if is_allowed { "yes" } else { "no" };
    let mut text = format!(
        "{at}: {} reports {}\n  reason: {}\n  text: {}\n  may be forwarded to the reported domain: \
         {}\n  may be forwarded to others: {}",
        report.by,
        report.about,
        report.reason,
        report.text,
        may(report.may_go_to_origin),
        may(report.may_go_to_others),
    );
    for message in &report.messages {
        text += &format!("\n  message: {message}");
    }
    let json = json!({
        "id": id,
        "at": at.to_string(),
        "by": report.by,
        "about": report.about,
        "reason": report.reason,
        "text": report.text,
        "may_go_to_origin": report.may_go_to_origin,
        "may_go_to_others": report.may_go_to_others,
        "messages": report.messages,
    });
    Ok(Outcome::Done { text, json })
}

pub(super) static REMOVE: Command = Command {
    path: &["report", "remove"],
    about: "Remove a report",
    arguments: &[ID],
    permission: Permission::Write,
    question: Some(|cx, arguments| Box::pin(remove_question(cx, arguments))),
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(remove(cx, arguments)),
};

async fn remove_question(
    cx: &CommandCx,
    arguments: &Arguments,
) -> Result<Option<String>, CommandError> {
    let (_, Queued { report, .. }) = find(cx, arguments).await?;
    Ok(Some(format!("Remove the report of {} about {}?", report.by, report.about)))
}

async fn remove(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let (host, Queued { id, .. }) = find(cx, arguments).await?;
    reports::remove(&*cx.storage, &host, &id).await?;
    Ok(Outcome::Done { text: format!("Removed report {id}."), json: json!({ "id": id }) })
}

/// The report that is meant, and its host.
async fn find(cx: &CommandCx, arguments: &Arguments) -> Result<(BareJid, Queued), CommandError> {
    let id = arguments.required("id")?;
    for host in hosts(cx) {
        let found = reports::all(&*cx.storage, &host).await?;
        if let Some(queued) = found.into_iter().find(|queued| queued.id == id) {
            return Ok((host, queued));
        }
    }
    Err(CommandError::NotFound(format!("report {id} does not exist")))
}

/// The hosts that the caller means.
fn hosts(cx: &CommandCx) -> Vec<BareJid> {
    let hosts = cx.config.hosts.iter().map(|host| host.domain.as_str());
    let meant = hosts.filter(|host| cx.only_domain.as_deref().is_none_or(|only| only == *host));
    meant.filter_map(|host| BareJid::parse(host).ok()).collect()
}
