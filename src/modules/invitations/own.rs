//! The command by which users see their invitations, and take some back.

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::host::command::{CommandError, Outcome};
use crate::host::invitations::open_of;
use crate::host::{AccountCommand, Cx};
use crate::jid::BareJid;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};
use crate::storage::{Invitation, InvitationId};

/// The command.
pub(super) struct Own;

#[async_trait]
impl AccountCommand for Own {
    fn node(&self) -> &'static str {
        "invitations"
    }

    fn about(&self) -> &'static str {
        "See the invitations that you have made, and take some back"
    }

    async fn form(&self, cx: &mut Cx<'_>, user: &BareJid) -> Result<Option<Form>, CommandError> {
        let open = open(cx, user).await?;
        if open.is_empty() {
            return Ok(None);
        }
        let field = Field::new(REVOKE, FieldKind::ListMulti).label("Take these back");
        let field = open.iter().fold(field, |field, known| {
            let name = known.name.as_ref().map(|name| format!(" for {name}"));
            let name = name.unwrap_or_default();
            let label = format!(
                "{}: {}{name}, until {}",
                known.created,
                known.kind.as_str(),
                known.expires
            );
            field.option(&known.id.to_string(), &label)
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
        let chosen = form.values(REVOKE).unwrap_or_default();
        if chosen.is_empty() {
            return list(cx, user).await;
        }
        let mut revoked = 0;
        for id in chosen {
            let no_such = || CommandError::NotFound(format!("you have no invitation `{id}`"));
            let id = InvitationId::parse(id).ok_or_else(no_such)?;
            if !cx.server.storage.invitations().remove_invitation(Some(user), id).await? {
                return Err(no_such());
            }
            revoked += 1;
        }
        Ok(Outcome::Done { text: format!("Taken back: {revoked}."), json: Value::Null })
    }
}

async fn list(cx: &Cx<'_>, user: &BareJid) -> Result<Outcome, CommandError> {
    let rows = open(cx, user).await?.into_iter().map(|known| {
        vec![
            json!(known.id.to_string()),
            json!(known.kind.as_str()),
            json!(known.name),
            json!(known.created.to_string()),
            json!(known.expires.to_string()),
        ]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        let text = "No invitation of yours is open.".to_owned();
        return Ok(Outcome::Done { text, json: Value::Null });
    }
    let columns = ["id", "kind", "name", "made", "expires"];
    Ok(Outcome::Table { columns: columns.map(Into::into).to_vec(), rows })
}

async fn open(cx: &Cx<'_>, user: &BareJid) -> Result<Vec<Invitation>, CommandError> {
    Ok(open_of(&*cx.server.storage, user, cx.server.clock.now()).await?)
}

const REVOKE: &str = "revoke";
const INSTRUCTIONS: &str =
    "A link that you take back does not work any more. Choose none to see all.";
