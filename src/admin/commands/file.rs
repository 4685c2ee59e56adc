//! `file list`, `file remove` and `file usage`: files that users have uploaded (XEP-0363).

use serde_json::json;

use super::account::{ACCOUNT, must_exist, needed};
use crate::host::command::{
    ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};
use crate::storage::FileId;

pub(super) static LIST: Command = Command {
    path: &["file", "list"],
    about: "List the files that an account has uploaded, newest first",
    arguments: &[ACCOUNT],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(list(cx, arguments)),
};

async fn list(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = must_exist(cx, arguments).await?;
    let files = cx.storage.files().files_of(&user, MOST).await?;
    let rows = files.into_iter().map(|file| {
        vec![
            json!(file.id.to_string()),
            json!(file.name),
            json!(file.size),
            json!(file.media_type),
            json!(file.purpose.as_str()),
            json!(file.content.is_some()),
            json!(file.created.to_string()),
            json!(file.expires.map(|at| at.to_string())),
        ]
    });
    let columns = COLUMNS.map(Into::into).to_vec();
    Ok(Outcome::Table { columns, rows: rows.collect() })
}

pub(super) static REMOVE: Command = Command {
    path: &["file", "remove"],
    about: "Remove a file that an account has uploaded",
    arguments: &[
        ACCOUNT,
        needed("file", ArgumentKind::Text, "The id of the file, as `file list` shows it"),
    ],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(remove(cx, arguments)),
};

async fn remove(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = must_exist(cx, arguments).await?;
    let id = arguments.required("file")?;
    let no_such = || CommandError::NotFound(format!("{user} has no file `{id}`"));
    let file = FileId::parse(id).ok_or_else(no_such)?;
    if !cx.storage.files().remove_file(&user, file).await? {
        return Err(no_such());
    }
    let text = format!("Removed {id} of {user}.");
    Ok(Outcome::Done { text, json: json!({ "account": user, "file": id }) })
}

pub(super) static USAGE: Command = Command {
    path: &["file", "usage"],
    about: "Show how many files users have uploaded, and how much room they take",
    arguments: &[],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, _| Box::pin(usage(cx)),
};

async fn usage(cx: &CommandCx) -> Result<Outcome, CommandError> {
    let totals = cx.storage.files().totals().await?;
    let text = format!(
        "{} files with {} bytes. On the disk: {} contents with {} bytes.",
        totals.files, totals.bytes, totals.contents, totals.content_bytes
    );
    let json = json!({
        "files": totals.files,
        "bytes": totals.bytes,
        "contents": totals.contents,
        "content_bytes": totals.content_bytes,
    });
    Ok(Outcome::Done { text, json })
}

const COLUMNS: [&str; 8] =
    ["file", "name", "size", "type", "purpose", "uploaded", "created", "expires"];
const MOST: usize = 10_000;
