//! The command by which users make a token.

use async_trait::async_trait;
use serde_json::Value;

use crate::host::command::{CommandError, Outcome};
use crate::host::{AccountCommand, Cx, NewApiToken, Scope, create_api_token};
use crate::jid::BareJid;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};

/// The command.
pub(super) struct Create;

#[async_trait]
impl AccountCommand for Create {
    fn node(&self) -> &'static str {
        "api-token-create"
    }

    fn about(&self) -> &'static str {
        "Give a program access to your account by the HTTP API"
    }

    async fn form(&self, _: &mut Cx<'_>, _: &BareJid) -> Result<Option<Form>, CommandError> {
        let name = Field::new(NAME, FieldKind::TextSingle).label("What it is for").required(true);
        let scopes = Field::new(SCOPES, FieldKind::ListMulti).label("What it may do");
        let scopes = Scope::ALL
            .into_iter()
            .fold(scopes.required(true), |field, scope| field.option(scope.word(), scope.about()));
        let days =
            Field::new(DAYS, FieldKind::TextSingle).label("Days until it expires").value("90");
        let form = Form::new(FormKind::Form).title(self.about()).instructions(INSTRUCTIONS);
        Ok(Some(form.field(name).field(scopes).field(days)))
    }

    async fn run(
        &self,
        cx: &mut Cx<'_>,
        user: &BareJid,
        form: &Submitted,
    ) -> Result<Outcome, CommandError> {
        let one = |var: &'static str| {
            let invalid = |_| CommandError::Invalid(format!("`{var}` has more than one value"));
            Ok::<_, CommandError>(form.text(var).map_err(invalid)?.unwrap_or_default())
        };
        let days = match one(DAYS)?.trim() {
            "" => None,
            days => Some(days.parse().map_err(|_| {
                CommandError::Invalid("the days are a number, or empty for no end".to_owned())
            })?),
        };
        let scopes = form.values(SCOPES).unwrap_or_default().join(" ");
        let new = NewApiToken { name: one(NAME)?, scopes: &scopes, days };
        let server = cx.server;
        let (limit, now) = (server.config.load().api.tokens, server.clock.now());
        let made = create_api_token(&*server.storage, user, new, limit, now).await?;
        let (secret, token) = made;
        tracing::info!(jid = %user, id = token.id, scopes = token.scopes, "token for the API made");
        let text = format!("This token is shown only now: {secret}");
        Ok(Outcome::Done { text, json: Value::Null })
    }
}

const NAME: &str = "name";
const SCOPES: &str = "scopes";
const DAYS: &str = "days";
const INSTRUCTIONS: &str = "Whoever has the token can do these things in your name, without your \
    password. It is shown once. No days: it is valid until you revoke it.";
