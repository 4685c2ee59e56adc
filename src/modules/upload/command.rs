//! The command by which users see their files, and remove some.

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::host::command::{CommandError, Outcome};
use crate::host::uploads::url;
use crate::host::{AccountCommand, Cx};
use crate::jid::BareJid;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};
use crate::storage::{FileId, StoredFile};
use crate::upload::Uploads;

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
        let files = files(cx, user).await?;
        if files.is_empty() {
            return Ok(None);
        }
        let field = Field::new(REMOVE, FieldKind::ListMulti).label("Remove these files");
        let field = files.iter().fold(field, |field, file| {
            let label = format!("{}: {}, {} bytes", file.created, file.name, file.size);
            field.option(&file.id.to_string(), &label)
        });
        let form = Form::new(FormKind::Form).title(self.about()).instructions(INSTRUCTIONS);
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
        let mut removed = 0;
        for id in chosen {
            let no_such = || CommandError::NotFound(format!("you have no file `{id}`"));
            let id = FileId::parse(id).ok_or_else(no_such)?;
            if !cx.server.storage.files().remove_file(user, id).await? {
                return Err(no_such());
            }
            removed += 1;
        }
        cx.server.shared::<Uploads>().sweep_soon.notify_one();
        let text = format!("Removed: {removed}.");
        Ok(Outcome::Done { text, json: Value::Null })
    }
}

async fn list(cx: &Cx<'_>, user: &BareJid) -> Result<Outcome, CommandError> {
    let rows = files(cx, user).await?.into_iter().map(|file| {
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

/// Those that were uploaded, newest first.
async fn files(cx: &Cx<'_>, user: &BareJid) -> Result<Vec<StoredFile>, CommandError> {
    let mut files = cx.server.storage.files().files_of(user, SHOWN).await?;
    let now = cx.server.clock.now();
    files.retain(|file| file.content.is_some() && !file.is_over(now));
    Ok(files)
}

const REMOVE: &str = "remove";
const SHOWN: usize = 200;
const INSTRUCTIONS: &str = "Nobody can download a file any more that you remove. Choose none to see all, with their addresses.";
