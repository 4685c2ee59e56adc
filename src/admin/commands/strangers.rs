//! `user strangers`: what an account does with people who are not its contacts.

use serde_json::json;

use super::account::{ACCOUNT, must_exist, optional};
use crate::host::command::{
    ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};
use crate::host::strangers::{self, Approach, Choice, Policy};

const WORDS: ArgumentKind = ArgumentKind::Choice(&["allow", "wait", "refuse"]);

pub(super) static STRANGERS: Command = Command {
    path: &["user", "strangers"],
    about: "Show or set what an account does with people who are not its contacts",
    arguments: &[
        ACCOUNT,
        optional("messages", WORDS, "Their messages"),
        optional("subscriptions", WORDS, "Their requests to see the user's presence"),
        optional("calls", WORDS, "Their calls"),
        optional("invitations", WORDS, "Their invitations to rooms"),
        optional("default", ArgumentKind::Flag, "Use the choices of the configuration"),
    ],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(strangers(cx, arguments)),
};

async fn strangers(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = must_exist(cx, arguments).await?;
    let old = strangers::policy(&*cx.storage, &user).await?;
    let new = wanted(cx, arguments, old)?;
    if new != old {
        let done = strangers::set_policy(&*cx.storage, &user, new).await;
        if let Some(running) = &cx.running {
            running.strangers_changed(&user);
        }
        done?;
    }
    let policy = new.unwrap_or_else(|| Policy::from(&cx.config.strangers));
    let mut json = json!({ "account": user, "chosen": new.is_some() });
    let by = if new.is_some() { "" } else { " (by the configuration)" };
    let mut text = format!("What {user} does with people who are not its contacts{by}:");
    for approach in Approach::ALL {
        let (name, choice) = (approach.word(), policy.on(approach).word());
        json[name] = json!(choice);
        text += &format!("\n  {name}: {choice}");
    }
    Ok(Outcome::Done { text, json })
}

/// What the account is to do: `None` is what the configuration says.
fn wanted(
    cx: &CommandCx,
    arguments: &Arguments,
    old: Option<Policy>,
) -> Result<Option<Policy>, CommandError> {
    let given = |approach: &Approach| arguments.text(approach.word()).and_then(Choice::of);
    let is_set = Approach::ALL.iter().any(|approach| given(approach).is_some());
    match (is_set, arguments.flag("default")) {
        (false, false) => Ok(old),
        (false, true) => Ok(None),
        (true, true) => {
            let both = "`default` and a choice cannot be given together";
            Err(CommandError::Invalid(both.to_owned()))
        }
        (true, false) => {
            let mut policy = old.unwrap_or_else(|| Policy::from(&cx.config.strangers));
            for approach in Approach::ALL {
                if let Some(choice) = given(&approach) {
                    policy.set(approach, choice);
                }
            }
            Ok(Some(policy))
        }
    }
}
