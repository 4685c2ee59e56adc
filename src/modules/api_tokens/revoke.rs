//! The command by which users see their tokens, and revoke some.

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::host::command::{CommandError, Outcome};
use crate::host::{AccountCommand, Cx};
use crate::jid::BareJid;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};

/// The command.
pub(super) struct Revoke;

#[async_trait]
impl AccountCommand for Revoke {
    fn node(&self) -> &'static str {
        "api-tokens"
    }

    fn about(&self) -> &'static str {
        "See which programs have access to your account by the HTTP API, and revoke it"
    }

    async fn form(&self, cx: &mut Cx<'_>, user: &BareJid) -> Result<Option<Form>, CommandError> {
        let tokens = cx.server.storage.api_tokens().api_tokens(user).await?;
        if tokens.is_empty() {
            return Ok(None);
        }
        let field = Field::new(REVOKE, FieldKind::ListMulti).label("Revoke these tokens");
        let field = tokens.iter().fold(field, |field, token| {
            let label = format!("{} ({}), made {}", token.name, token.scopes, token.created);
            field.option(&token.id, &label)
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
        let tokens = cx.server.storage.api_tokens();
        let chosen = form.values(REVOKE).unwrap_or_default();
        for id in chosen {
            if !tokens.remove_api_token(user, id).await? {
                return Err(CommandError::NotFound(format!("you have no token `{id}`")));
            }
            tracing::info!(jid = %user, id, "token for the API revoked");
        }
        if !chosen.is_empty() {
            let text = format!("Revoked: {}.", chosen.len());
            return Ok(Outcome::Done { text, json: Value::Null });
        }
        let rows = tokens.api_tokens(user).await?.into_iter().map(|token| {
            vec![
                json!(token.name),
                json!(token.scopes),
                json!(token.created.to_string()),
                json!(token.expires.map(|at| at.to_string())),
                json!(token.last_used.map(|at| at.to_string())),
            ]
        });
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            let text = "No program has access.".to_owned();
            return Ok(Outcome::Done { text, json: Value::Null });
        }
        let columns = ["name", "scopes", "made", "expires", "last used"];
        Ok(Outcome::Table { columns: columns.map(Into::into).to_vec(), rows })
    }
}

const REVOKE: &str = "revoke";
const INSTRUCTIONS: &str =
    "A program whose token is revoked has no access any more. Choose none to see all.";
