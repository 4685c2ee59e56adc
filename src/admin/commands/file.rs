//! `file list`, `file remove` and `file usage`: files that users have uploaded (XEP-0363).

use async_trait::async_trait;
use serde_json::json;

use super::account::{ACCOUNT, must_exist, needed};
use crate::host::command::{
    Argument, ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission,
};
use crate::storage::FileId;

/// `file list`
pub(super) struct List;

/// `file remove`
pub(super) struct Remove;

/// `file usage`
pub(super) struct Usage;

#[async_trait]
impl Command for List {
    fn path(&self) -> &'static [&'static str] {
        &["file", "list"]
    }

    fn about(&self) -> &'static str {
        "List the files that an account has uploaded, newest first"
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[ACCOUNT] }
    }

    fn permission(&self) -> Permission {
        Permission::Read
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
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
}

#[async_trait]
impl Command for Remove {
    fn path(&self) -> &'static [&'static str] {
        &["file", "remove"]
    }

    fn about(&self) -> &'static str {
        "Remove a file that an account has uploaded"
    }

    fn arguments(&self) -> &'static [Argument] {
        const {
            &[
                ACCOUNT,
                needed("file", ArgumentKind::Text, "The id of the file, as `file list` shows it"),
            ]
        }
    }

    fn permission(&self) -> Permission {
        Permission::Write
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
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
}

#[async_trait]
impl Command for Usage {
    fn path(&self) -> &'static [&'static str] {
        &["file", "usage"]
    }

    fn about(&self) -> &'static str {
        "Show how many files users have uploaded, and how much room they take"
    }

    fn arguments(&self) -> &'static [Argument] {
        &[]
    }

    fn permission(&self) -> Permission {
        Permission::Read
    }

    async fn run(&self, cx: &CommandCx, _: &Arguments) -> Result<Outcome, CommandError> {
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
}

const COLUMNS: [&str; 8] =
    ["file", "name", "size", "type", "purpose", "uploaded", "created", "expires"];
const MOST: usize = 10_000;
