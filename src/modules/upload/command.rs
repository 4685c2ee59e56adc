//! The command by which users see their files, and remove some.

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::host::command::{CommandError, Outcome};
use crate::host::uploads::{remove_own, url};
use crate::host::{AccountCommand, Cx};
use crate::jid::BareJid;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};
use crate::storage::FileId;

/// The command.
pub(super) struct Files;

#[async_trait]
impl AccountCommand for Files {
    fn node(&self) -> &'static str {
        "files"
    }

    fn about(&self) -> &'static str {
        "See the files that you have uploaded, and remove some"
    }

    async fn form(&self, cx: &mut Cx<'_>, user: &BareJid) -> Result<Option<Form>, CommandError> {
        let now = cx.server.clock.now();
        let files = cx.server.storage.files().uploaded(user, now, SHOWN).await?;
        if files.newest.is_empty() {
            return Ok(None);
        }
        let instructions = match files.all {
            all if all > SHOWN as u64 => {
                format!("{INSTRUCTIONS} These are the newest {SHOWN} of {all}.")
            }
            _ => INSTRUCTIONS.to_owned(),
        };
        let field = Field::new(REMOVE, FieldKind::ListMulti).label("Remove these files");
        let field = files.newest.iter().fold(field, |field, file| {
            let label = format!("{}: {}, {} bytes", file.created, file.name, file.size);
            field.option(&file.id.to_string(), &label)
        });
        let form = Form::new(FormKind::Form).title(self.about()).instructions(&instructions);
        Ok(Some(form.field(field)))
    }

    async fn run(
        &self,
        cx: &mut Cx<'_>,
        user: &BareJid,
        form: &Submitted,
    ) -> Result<Outcome, CommandError> {
        let chosen = form.values(REMOVE).unwrap_or_default();
        if chosen.is_empty() {
            return list(cx, user).await;
        }
        let files = cx.server.storage.files();
        // All are looked for before one is removed: a mistake removes nothing.
        let mut ids = Vec::new();
        for id in chosen {
            let no_such = || CommandError::NotFound(format!("you have no file `{id}`"));
            let id = FileId::parse(id).ok_or_else(no_such)?;
            let found = files.find(id).await?.filter(|file| file.owner == *user);
            ids.push(found.ok_or_else(no_such)?.id);
        }
        let mut removed = 0;
        for id in ids {
            removed += u64::from(remove_own(cx.server, user, id).await?);
        }
        let text = format!("Removed: {removed}.");
        Ok(Outcome::Done { text, json: Value::Null })
    }
}

async fn list(cx: &Cx<'_>, user: &BareJid) -> Result<Outcome, CommandError> {
    let now = cx.server.clock.now();
    let files = cx.server.storage.files().uploaded(user, now, LISTED).await?;
    let rows = files.newest.into_iter().map(|file| {
        vec![
            json!(file.name),
            json!(file.size),
            json!(file.purpose.as_str()),
            json!(file.created.to_string()),
            json!(file.expires.map(|at| at.to_string())),
            json!(url(cx.server, &file)),
        ]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        let text = "You have no files.".to_owned();
        return Ok(Outcome::Done { text, json: Value::Null });
    }
    let columns = ["name", "size", "purpose", "uploaded", "expires", "url"];
    Ok(Outcome::Table { columns: columns.map(Into::into).to_vec(), rows })
}

const REMOVE: &str = "remove";
/// How many files the form offers for choice.
const SHOWN: usize = 200;
/// How many files the list has at most. The front says how many of them it does not show.
const LISTED: usize = 10_000;
const INSTRUCTIONS: &str = "Nobody can download a file any more that you remove. Choose none to see all, with their addresses.";
