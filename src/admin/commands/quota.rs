//! `user quota`: how much an account stores, and how much it may store.

use serde_json::{Value, json};

use super::account::{ACCOUNT, must_exist, optional};
use crate::config::units::{display_size, parse_size};
use crate::host::command::{
    ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};
use crate::jid::BareJid;
use crate::storage::{Result, Usage};

pub(super) static QUOTA: Command = Command {
    path: &["user", "quota"],
    about: "Show or set how many bytes an account may keep",
    arguments: &[
        ACCOUNT,
        optional(
            "set",
            ArgumentKind::Text,
            "Keep at most this, for example 10GiB (none = no limit)",
        ),
        optional("default", ArgumentKind::Flag, "Use the limits of the configuration"),
    ],
    permission: Permission::Write,
    question: Some(|cx, arguments| Box::pin(quota_question(cx, arguments))),
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(quota(cx, arguments)),
};

/// Only if the new quota is less than what is stored.
async fn quota_question(
    cx: &CommandCx,
    arguments: &Arguments,
) -> std::result::Result<Option<String>, CommandError> {
    let user = must_exist(cx, arguments).await?;
    let Some(wanted) = wanted(arguments)? else { return Ok(None) };
    let quota = wanted.unwrap_or(cx.config.limits.account_bytes as u64);
    let used = cx.storage.usage().used(&user).await?.total();
    Ok((used > quota).then(|| {
        format!(
            "{user} keeps {}, more than {}. Remove the oldest messages from its archive as new ones \
             come?",
            about(used),
            about(quota)
        )
    }))
}

async fn quota(
    cx: &CommandCx,
    arguments: &Arguments,
) -> std::result::Result<Outcome, CommandError> {
    let user = must_exist(cx, arguments).await?;
    if let Some(quota) = wanted(arguments)? {
        cx.storage.usage().set_quota(&user, quota).await?;
    }
    let kept = Kept::of(cx, &user).await?;
    let mut json = json!({ "account": user, "has_own_quota": kept.is_own });
    for (name, value) in kept.facts() {
        json[name] = value;
    }
    let parts = kept.parts().into_iter().filter(|(_, bytes)| *bytes > 0);
    let parts: Vec<_> =
        parts.map(|(name, bytes)| format!("\n  {name}: {}", about(bytes))).collect();
    let bound = match kept.quota {
        None => "has no quota".to_owned(),
        Some(quota) => format!("may keep {}", display_size(quota)),
    };
    let used = about(kept.usage.total());
    let text = format!("{user} {bound} and keeps {used}.{}", parts.concat());
    Ok(Outcome::Done { text, json })
}

/// The quota that the arguments set; the inner `None`: that of the configuration; the outer `None`: no change.
fn wanted(arguments: &Arguments) -> std::result::Result<Option<Option<u64>>, CommandError> {
    match (arguments.text("set"), arguments.flag("default")) {
        (None, false) => Ok(None),
        (Some(text), false) => Ok(Some(Some(bytes(text)?))),
        (None, true) => Ok(Some(None)),
        (Some(_), true) => {
            let both = "`set` and `default` cannot be given together";
            Err(CommandError::Invalid(both.to_owned()))
        }
    }
}

/// What an account stores, and may store.
pub(super) struct Kept {
    usage: Usage,
    /// `None`: no limit.
    quota: Option<u64>,
    is_own: bool,
}

impl Kept {
    pub(super) async fn of(cx: &CommandCx, user: &BareJid) -> Result<Self> {
        let own = cx.storage.usage().quota(user).await?;
        let quota = own.unwrap_or(cx.config.limits.account_bytes as u64);
        Ok(Self {
            usage: cx.storage.usage().used(user).await?,
            quota: Some(quota).filter(|quota| *quota < u64::MAX),
            is_own: own.is_some(),
        })
    }

    /// The numbers in bytes, as names and values.
    pub(super) fn facts(&self) -> Vec<(&'static str, Value)> {
        let names = [
            "archive_bytes",
            "waiting_bytes",
            "vcard_bytes",
            "private_bytes",
            "roster_bytes",
            "pubsub_bytes",
            "other_bytes",
        ];
        let parts =
            names.into_iter().zip(self.parts()).map(|(name, (_, part))| (name, json!(part)));
        let whole = [("used_bytes", json!(self.usage.total())), ("quota_bytes", json!(self.quota))];
        parts.chain(whole).collect()
    }

    fn parts(&self) -> [(&'static str, u64); 7] {
        let document = |kind| self.usage.documents.get(kind).copied().unwrap_or(0);
        let all: u64 = self.usage.documents.values().sum();
        let (vcard, private) = (document("vcard"), document("private"));
        [
            ("archive", self.usage.archive),
            ("waiting messages that are not in the archive", self.usage.waiting),
            ("vCard", vcard),
            ("private XML", private),
            ("roster", self.usage.roster),
            ("PubSub nodes", self.usage.pubsub),
            ("settings", all - vcard - private + self.usage.push),
        ]
    }
}

/// A size as text for people, to a tenth of its unit.
fn about(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

/// A size with its unit. A number without a unit is refused: a wrong guess would delete messages.
fn bytes(text: &str) -> std::result::Result<u64, CommandError> {
    if text == "none" {
        return Ok(u64::MAX);
    }
    let wrong = |why: String| CommandError::Invalid(format!("`{text}`: {why}"));
    if text.trim().bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("a size needs a unit, for example \"10 GiB\"".to_owned()));
    }
    match parse_size(text).map_err(wrong)? {
        0 => Err(wrong("an account needs some room; none: no bound".to_owned())),
        bytes => Ok(bytes),
    }
}
