//! The command by which users choose what their accounts do with strangers.

use async_trait::async_trait;
use serde_json::Value;

use crate::host::command::{CommandError, Outcome};
use crate::host::strangers::{self, Approach, Choice, Policy};
use crate::host::{AccountCommand, Cx, Invalidation};
use crate::jid::BareJid;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};

/// The command.
pub(super) struct Settings;

#[async_trait]
impl AccountCommand for Settings {
    fn node(&self) -> &'static str {
        "strangers"
    }

    fn about(&self) -> &'static str {
        "Choose what happens to people who are not your contacts"
    }

    async fn form(&self, cx: &mut Cx<'_>, user: &BareJid) -> Result<Option<Form>, CommandError> {
        let policy = current(cx, user).await?;
        let form = Form::new(FormKind::Form).title(self.about()).instructions(INSTRUCTIONS);
        Ok(Some(Approach::ALL.into_iter().fold(form, |form, approach| {
            let field = Field::new(approach.word(), FieldKind::ListSingle).label(approach.about());
            let field = field.value(policy.on(approach).word());
            form.field(
                Choice::ALL
                    .into_iter()
                    .fold(field, |field, choice| field.option(choice.word(), label(choice))),
            )
        })))
    }

    async fn run(
        &self,
        cx: &mut Cx<'_>,
        user: &BareJid,
        form: &Submitted,
    ) -> Result<Outcome, CommandError> {
        let storage = &*cx.server.storage;
        let mut policy = current(cx, user).await?;
        for approach in Approach::ALL {
            let invalid = || {
                let words = Choice::ALL.map(Choice::word).join(", ");
                CommandError::Invalid(format!("`{}` is one of {words}", approach.word()))
            };
            // What is left out stays as it is.
            if let Some(word) = form.text(approach.word()).map_err(|_| invalid())? {
                policy.set(approach, Choice::of(word).ok_or_else(invalid)?);
            }
        }
        let done = strangers::set_policy(storage, user, Some(policy)).await;
        cx.server.invalidate(&Invalidation::Strangers(user.clone()));
        done?;
        for waiting in strangers::all(storage, user).await? {
            if policy.on(waiting.place.approach) == Choice::Allow {
                cx.outbox.release(user.clone(), waiting.place.from);
            }
        }
        let chosen = Approach::ALL
            .map(|approach| format!("{}: {}", approach.word(), policy.on(approach).word()));
        let text = format!("People who are not your contacts: {}.", chosen.join(", "));
        Ok(Outcome::Done { text, json: Value::Null })
    }
}

/// What the account does now: what the user chose, or else the operator.
async fn current(cx: &Cx<'_>, user: &BareJid) -> Result<Policy, CommandError> {
    let chosen = strangers::policy(&*cx.server.storage, user).await?;
    Ok(chosen.unwrap_or_else(|| Policy::from(&cx.server.config.load().strangers)))
}

fn label(choice: Choice) -> &'static str {
    match choice {
        Choice::Allow => "Let them through",
        Choice::Refuse => "Refuse them, as if you did not exist",
        Choice::Wait => "Let them wait until you accept them",
    }
}

const INSTRUCTIONS: &str =
    "People to whom you have written are not refused. The last 1,000 are remembered.";
