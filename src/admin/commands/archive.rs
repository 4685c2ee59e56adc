//! `archive show`, `limit` and `clear`: what is kept of what an account writes and reads, and for
//! how long.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::user::{ACCOUNT, must_exist};
use super::{facts, optional};
use crate::archive::retention::Limits;
use crate::config::units::{display_duration, parse_duration};
use crate::host::command::{
    Argument, ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission,
};
use crate::modules::mam;
use crate::payload::datetime::Timestamp;
use crate::storage::{Query, Retention};

/// `archive show`
pub(super) struct Show;

/// `archive limit`
pub(super) struct Limit;

/// `archive clear`
pub(super) struct Clear;

#[async_trait]
impl Command for Show {
    fn path(&self) -> &'static [&'static str] {
        &["archive", "show"]
    }

    fn about(&self) -> &'static str {
        "Show what the archive of an account has, and for how long"
    }

    fn arguments(&self) -> &'static [Argument] {
        const { &[ACCOUNT] }
    }

    fn permission(&self) -> Permission {
        Permission::Read
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
        let user = must_exist(cx, arguments).await?;
        let (storage, archive) = (&*cx.storage, cx.storage.archive());
        let counted = archive.page(&user, &Query { count: true, ..Query::default() }).await?;
        let messages = counted.and_then(|page| page.count).unwrap_or_default().total;
        let ends = archive.ends(&user).await?;
        let time = |at: Timestamp| at.to_string();
        let preferences = mam::stored_preferences(storage, &user).await?;
        let (limits, own) = mam::expiry::limits(storage, &cx.config.archive, &user).await?;
        Ok(facts(&[
            ("account", json!(user)),
            ("enabled", json!(cx.config.archive.enabled)),
            ("messages", json!(messages)),
            ("oldest", json!(ends.map(|(oldest, _)| time(oldest.1)))),
            ("newest", json!(ends.map(|(_, newest)| time(newest.1)))),
            ("preference", json!(preferences.default.as_str())),
            ("always", json!(preferences.always)),
            ("never", json!(preferences.never)),
            ("keeps_age", age(&limits)),
            ("keeps_messages", json!(limits.messages)),
            ("has_own_limits", json!(own)),
        ]))
    }
}

#[async_trait]
impl Command for Limit {
    fn path(&self) -> &'static [&'static str] {
        &["archive", "limit"]
    }

    fn about(&self) -> &'static str {
        "Say for how long messages of an account stay in its archive"
    }

    fn arguments(&self) -> &'static [Argument] {
        const {
            &[
                ACCOUNT,
                optional("age", ArgumentKind::Text, "For so long, for example 90d; 0: for ever"),
                optional("messages", ArgumentKind::Number, "The newest so many; 0: all"),
                optional("default", ArgumentKind::Flag, "As the configuration says"),
            ]
        }
    }

    fn permission(&self) -> Permission {
        Permission::Write
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
        let user = must_exist(cx, arguments).await?;
        let (of_age, messages) = (arguments.text("age"), arguments.number("messages"));
        let wanted = match (arguments.flag("default"), of_age.is_some() || messages.is_some()) {
            (true, false) => None,
            (false, true) => {
                let (mut limits, _) =
                    mam::expiry::limits(&*cx.storage, &cx.config.archive, &user).await?;
                if let Some(text) = of_age {
                    let wrong = |why| CommandError::Invalid(format!("`{text}`: {why}"));
                    limits.age = Limits::new(parse_duration(text).map_err(wrong)?, 0).age;
                }
                if let Some(messages) = messages {
                    limits.messages = Some(messages).filter(|messages| *messages > 0);
                }
                Some(limits)
            }
            _ => {
                let how = "either `age`, `messages` or both, or `default` must be given";
                return Err(CommandError::Invalid(how.to_owned()));
            }
        };
        mam::expiry::set_limits(&*cx.storage, &user, wanted).await?;
        let (limits, own) = mam::expiry::limits(&*cx.storage, &cx.config.archive, &user).await?;
        let kept = match (limits.age, limits.messages) {
            (None, None) => "All messages stay".to_owned(),
            (Some(age), None) => format!("Messages stay for {}", display_duration(age)),
            (None, Some(most)) => format!("The newest {most} messages stay"),
            (Some(age), Some(most)) => {
                format!("The newest {most} messages stay, for {}", display_duration(age))
            }
        };
        let text = format!("{kept} in the archive of {user}. The others go within an hour.");
        let json = json!({
            "account": user,
            "keeps_age": age(&limits),
            "keeps_messages": limits.messages,
            "has_own_limits": own,
        });
        Ok(Outcome::Done { text, json })
    }
}

#[async_trait]
impl Command for Clear {
    fn path(&self) -> &'static [&'static str] {
        &["archive", "clear"]
    }

    fn about(&self) -> &'static str {
        "Remove the messages of an archive, or the older ones"
    }

    fn arguments(&self) -> &'static [Argument] {
        const {
            &[
                ACCOUNT,
                optional(
                    "before",
                    ArgumentKind::Text,
                    "Only those from before this day or moment: 2026-01-31, 2026-01-31T12:00:00Z",
                ),
            ]
        }
    }

    fn permission(&self) -> Permission {
        Permission::Write
    }

    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
        let user = must_exist(cx, arguments).await?;
        let retention = match arguments.text("before").map(moment).transpose()? {
            Some(before) => Retention { before: Some(before), keep: None },
            None => Retention { before: None, keep: Some(0) },
        };
        let mut removed = 0;
        loop {
            match cx.storage.archive().expire(&user, retention).await? {
                0 => break,
                some => removed += some,
            }
        }
        let text = match removed {
            1 => format!("Removed a message from the archive of {user}."),
            n => format!("Removed {n} messages from the archive of {user}."),
        };
        Ok(Outcome::Done { text, json: json!({ "account": user, "removed": removed }) })
    }
}

fn age(limits: &Limits) -> Value {
    json!(limits.age.map(display_duration))
}

fn moment(text: &str) -> Result<Timestamp, CommandError> {
    Timestamp::parse(text)
        .or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")))
        .ok_or_else(|| CommandError::Invalid(format!("`{text}` is no day and no moment (UTC)")))
}
