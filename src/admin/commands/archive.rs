//! `archive show`, `limit` and `clear`: show an account's archive, limit it, and delete messages from it.

use serde_json::{Value, json};

use super::account::{ACCOUNT, must_exist, optional};
use super::facts::facts;
use crate::archive::retention::Limits;
use crate::config::units::{display_duration, is_short, parse_duration};
use crate::host::command::{
    ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};
use crate::jid::BareJid;
use crate::modules::mam;
use crate::payload::datetime::Timestamp;
use crate::storage::{Query, Retention};

pub(super) static SHOW: Command = Command {
    path: &["archive", "show"],
    about: "Show the archive of an account and its limits",
    arguments: &[ACCOUNT],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(show(cx, arguments)),
};

async fn show(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = must_exist(cx, arguments).await?;
    let (storage, archive) = (&*cx.storage, cx.storage.archive());
    let messages = count(cx, &user, None).await?;
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

pub(super) static LIMIT: Command = Command {
    path: &["archive", "limit"],
    about: "Set how long an account's messages are kept",
    arguments: &[
        ACCOUNT,
        optional(
            "age",
            ArgumentKind::Text,
            "Keep this long, for example 90d, 12w, 1y (0 = forever)",
        ),
        optional("messages", ArgumentKind::Number, "Keep at most this many, the newest (0 = all)"),
        optional("default", ArgumentKind::Flag, "Use the limits of the configuration"),
    ],
    permission: Permission::Write,
    question: Some(|cx, arguments| Box::pin(limit_question(cx, arguments))),
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(limit(cx, arguments)),
};

/// People mean a day or more; a shorter time is a mistaken unit.
async fn limit_question(
    cx: &CommandCx,
    arguments: &Arguments,
) -> Result<Option<String>, CommandError> {
    let user = must_exist(cx, arguments).await?;
    let limits = match wanted(cx, arguments, &user).await? {
        Some(limits) => limits,
        None => Limits::new(cx.config.archive.age, cx.config.archive.messages),
    };
    Ok(limits.age.filter(|age| is_short(*age)).map(|age| {
        let age = display_duration(age);
        format!("Remove all that is older than {age} from the archive of {user}, now and always?")
    }))
}

async fn limit(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = must_exist(cx, arguments).await?;
    let wanted = wanted(cx, arguments, &user).await?;
    mam::expiry::set_limits(&*cx.storage, &user, wanted).await?;
    let (limits, own) = mam::expiry::limits(&*cx.storage, &cx.config.archive, &user).await?;
    let json = json!({
        "account": user,
        "keeps_age": age(&limits),
        "keeps_messages": limits.messages,
        "has_own_limits": own,
    });
    Ok(Outcome::Done { text: told(cx, &user, limits, own), json })
}

/// The limits that the arguments set; `None`: those of the configuration.
async fn wanted(
    cx: &CommandCx,
    arguments: &Arguments,
    user: &BareJid,
) -> Result<Option<Limits>, CommandError> {
    let (of_age, messages) = (arguments.text("age"), arguments.number("messages"));
    match (arguments.flag("default"), of_age.is_some() || messages.is_some()) {
        (true, false) => return Ok(None),
        (false, true) => {}
        _ => {
            let how = "either `age`, `messages` or both, or `default` must be given";
            return Err(CommandError::Invalid(how.to_owned()));
        }
    }
    let (mut limits, _) = mam::expiry::limits(&*cx.storage, &cx.config.archive, user).await?;
    if let Some(text) = of_age {
        let wrong = |why| CommandError::Invalid(format!("`{text}`: {why}"));
        limits.age = Limits::new(parse_duration(text).map_err(wrong)?, 0).age;
    }
    if let Some(messages) = messages {
        limits.messages = Some(messages).filter(|messages| *messages > 0);
    }
    Ok(Some(limits))
}

/// Describes what stays, what is deleted, and when.
fn told(cx: &CommandCx, user: &BareJid, limits: Limits, own: bool) -> String {
    let whose = match own {
        true => format!("{user} has limits of its own"),
        false => format!("{user} has the limits of the configuration"),
    };
    let goes = match (limits.age, limits.messages) {
        (None, None) => return format!("{whose}: all messages stay in its archive."),
        (Some(age), None) => format!("messages older than {}", display_duration(age)),
        (None, Some(most)) => format!("all but the newest {most} messages"),
        (Some(age), Some(most)) => {
            format!("messages older than {}, and all but the newest {most},", display_duration(age))
        }
    };
    let when = match cx.running {
        Some(_) => "within an hour, and then every hour",
        None => "when the server runs",
    };
    format!("{whose}: {goes} are removed from its archive {when}.")
}

pub(super) static CLEAR: Command = Command {
    path: &["archive", "clear"],
    about: "Remove all or the older messages of an archive",
    arguments: &[
        ACCOUNT,
        optional(
            "before",
            ArgumentKind::Text,
            "Only those that are older than this, or from before this day or moment (UTC): \
                     90d, 2026-01-31, 2026-01-31T12:00:00Z",
        ),
    ],
    permission: Permission::Write,
    question: Some(|cx, arguments| Box::pin(clear_question(cx, arguments))),
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(clear(cx, arguments)),
};

async fn clear_question(
    cx: &CommandCx,
    arguments: &Arguments,
) -> Result<Option<String>, CommandError> {
    let user = must_exist(cx, arguments).await?;
    let before = before(cx, arguments)?;
    // `end` is inclusive, and times are whole microseconds.
    let end = before.map(|before| Timestamp::from_micros(before.as_micros() - 1));
    let messages = count(cx, &user, end).await?;
    let which = match before {
        Some(before) => format!("{messages} messages from before {before}"),
        None => format!("all {messages} messages"),
    };
    Ok(Some(format!("Remove {which} from the archive of {user}?")))
}

async fn clear(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let user = must_exist(cx, arguments).await?;
    let retention = match before(cx, arguments)? {
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
        1 => format!("Removed 1 message from the archive of {user}."),
        n => format!("Removed {n} messages from the archive of {user}."),
    };
    Ok(Outcome::Done { text, json: json!({ "account": user, "removed": removed }) })
}

fn age(limits: &Limits) -> Value {
    json!(limits.age.map(display_duration))
}

/// How many messages an archive has, up to this time if one is given.
async fn count(
    cx: &CommandCx,
    user: &BareJid,
    end: Option<Timestamp>,
) -> Result<u64, CommandError> {
    let query = Query { count: true, end, ..Query::default() };
    let page = cx.storage.archive().page(user, &query).await?;
    Ok(page.and_then(|page| page.count).unwrap_or_default().total)
}

/// The argument `before`: a day, a time, or how long ago.
fn before(cx: &CommandCx, arguments: &Arguments) -> Result<Option<Timestamp>, CommandError> {
    arguments.text("before").map(|text| moment(text, cx.clock.now())).transpose()
}

fn moment(text: &str, now: Timestamp) -> Result<Timestamp, CommandError> {
    let written = Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")));
    if let Some(moment) = written {
        return Ok(moment);
    }
    let ago = parse_duration(text).map_err(|why| {
        let days = "write a day or a moment in UTC (2026-01-31, 2026-01-31T12:00:00Z), or how old \
                    they are (90d)";
        CommandError::Invalid(format!("`{text}`: {why}; {days}"))
    })?;
    if ago.is_zero() {
        let text = format!("`{text}`: leave `before` out to remove all messages");
        return Err(CommandError::Invalid(text));
    }
    let ago = i64::try_from(ago.as_micros()).unwrap_or(i64::MAX);
    Ok(Timestamp::from_micros(now.as_micros().saturating_sub(ago)))
}
