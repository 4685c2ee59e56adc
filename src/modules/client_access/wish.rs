//! Whether users want to be told of new clients of their accounts: what they have chosen by a command, else what the
//! operator has.

use async_trait::async_trait;
use serde_json::Value;

use crate::host::command::{CommandError, Outcome};
use crate::host::{AccountCommand, Cx, ServerState};
use crate::jid::BareJid;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};
use crate::storage;

/// Whether the user is to be told.
///
/// # Errors
/// If the store fails.
pub(super) async fn is_wanted(server: &ServerState, user: &BareJid) -> storage::Result<bool> {
    let chosen = server.storage.documents().get(user, KIND, "").await?;
    Ok(match chosen.as_deref() {
        Some(text) => text == YES,
        None => server.config.load().auth.announce_devices,
    })
}

/// The command.
pub(super) struct Wish;

#[async_trait]
impl AccountCommand for Wish {
    fn node(&self) -> &'static str {
        "new-devices"
    }

    fn about(&self) -> &'static str {
        "Choose whether you are told of new clients of your account"
    }

    async fn form(&self, cx: &mut Cx<'_>, user: &BareJid) -> Result<Option<Form>, CommandError> {
        let now = if is_wanted(cx.server, user).await? { YES } else { NO };
        let field = Field::new(TELL, FieldKind::Boolean)
            .label("Tell me when a client logs in for the first time")
            .value(now);
        Ok(Some(Form::new(FormKind::Form).title(self.about()).field(field)))
    }

    async fn run(
        &self,
        cx: &mut Cx<'_>,
        user: &BareJid,
        form: &Submitted,
    ) -> Result<Outcome, CommandError> {
        let invalid = |_| CommandError::Invalid(format!("`{TELL}` is true or false"));
        // What is left out stays as it is.
        if let Some(tell) = form.boolean(TELL).map_err(invalid)? {
            let text = if tell { YES } else { NO };
            cx.server.storage.documents().put(user, KIND, "", text).await?;
        }
        let text = match is_wanted(cx.server, user).await? {
            true => "You are told of new clients of your account.",
            false => "You are not told of new clients of your account.",
        };
        Ok(Outcome::Done { text: text.to_owned(), json: Value::Null })
    }
}

const TELL: &str = "tell";
const YES: &str = "true";
const NO: &str = "false";
/// The kind of the document with the choice of a user.
const KIND: &str = "new-devices";
