//! `user strangers`: what an account does with people who are not its contacts.

use async_trait::async_trait;
use serde_json::json;

use super::account::{ACCOUNT, must_exist, optional};
use crate::host::command::{
    Argument, ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission,
};
use crate::host::strangers::{self, Approach, Choice};

/// `user strangers`
pub(super) struct Strangers;

#[async_trait]
impl Command for Strangers {
    fn path(&self) -> &'static [&'static str] {
        &["user", "strangers"]
    }

    fn about(&self) -> &'static str {
        "Show or set what an account does with people who are not its contacts"
    }

    fn arguments(&self) -> &'static [Argument] {
        const WORDS: ArgumentKind = ArgumentKind::Choice(&["allow", "wait", "refuse"]);
        const {
            &[
                ACCOUNT,
                optional("messages", WORDS, "Their messages"),
                optional("subscriptions", WORDS, "Their requests to see the user's presence"),
                optional("calls", WORDS, "Their calls"),
                optional("invitations", WORDS, "Their invitations to rooms"),
            ]
        }
    }

    fn permission(&self) -> Permission {
        Permission::Write
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
        let user = must_exist(cx, arguments).await?;
        let old = strangers::policy(&*cx.storage, &user).await?;
        let mut policy = old;
        for approach in Approach::ALL {
            if let Some(choice) = arguments.text(approach.word()).and_then(Choice::of) {
                policy.set(approach, choice);
            }
        }
        if policy != old {
            let done = strangers::set_policy(&*cx.storage, &user, policy).await;
            if let Some(running) = &cx.running {
                running.strangers_changed(&user);
            }
            done?;
        }
        let mut json = json!({ "account": user });
        let mut text = format!("What {user} does with people who are not its contacts:");
        for approach in Approach::ALL {
            let (name, choice) = (approach.word(), policy.on(approach).word());
            json[name] = json!(choice);
            text += &format!("\n  {name}: {choice}");
        }
        Ok(Outcome::Done { text, json })
    }
}
