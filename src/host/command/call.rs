//! A call of a command: checked, confirmed, done and logged, in the same way for every front.

use super::{Argument, ArgumentKind, Arguments, Command, CommandCx, CommandError};
use super::{Outcome, Permission};

/// Checks a call, asks for confirmation if the command wants it, runs the command, and logs it.
///
/// Calls of commands that change something are logged at INFO, of those that only read at DEBUG:
/// monitoring asks for `status` every few seconds.
///
/// # Errors
/// [`CommandError::Unconfirmed`] with the question, if the command asks and `confirmed` is false;
/// what the command says.
pub async fn call(
    cx: &CommandCx,
    command: &Command,
    arguments: &Arguments,
    confirmed: bool,
) -> Result<Outcome, CommandError> {
    let result = run(cx, command, arguments, confirmed).await;
    log(cx, command, arguments, &result);
    result
}

async fn run(
    cx: &CommandCx,
    command: &Command,
    arguments: &Arguments,
    confirmed: bool,
) -> Result<Outcome, CommandError> {
    arguments.check(command.arguments)?;
    if let Some(question) = command.question
        && let Some(question) = question(cx, arguments).await?
        && !confirmed
    {
        return Err(CommandError::Unconfirmed(question));
    }
    (command.run)(cx, arguments).await
}

fn log(
    cx: &CommandCx,
    command: &Command,
    arguments: &Arguments,
    result: &Result<Outcome, CommandError>,
) {
    let (uid, jid) = (cx.caller.uid(), cx.caller.jid());
    let (name, arguments) = (command.name(), shown(cx, command.arguments, arguments));
    let (outcome, error) = match result {
        Ok(Outcome::Partly { .. }) => ("partly done", None),
        Ok(Outcome::Done { .. } | Outcome::Table { .. }) => ("done", None),
        Err(error) => ("failed", Some(error.to_string())),
    };
    // A question changes nothing; what is answered to it comes as another call.
    let is_quiet = command.permission == Permission::Read
        || matches!(result, Err(CommandError::Unconfirmed(_)));
    if is_quiet {
        tracing::debug!(uid, jid, command = name, arguments, outcome, error, "admin command");
    } else {
        tracing::info!(uid, jid, command = name, arguments, outcome, error, "admin command");
    }
}

/// The arguments for the log: accounts in full, never a password or what else is private, never the lines of a
/// file.
fn shown(cx: &CommandCx, known: &[Argument], arguments: &Arguments) -> String {
    let given = known.iter().filter_map(|argument| {
        let value = arguments.0.get(argument.name)?;
        let value = match argument.kind {
            ArgumentKind::Lines | ArgumentKind::Password | ArgumentKind::Private => return None,
            ArgumentKind::Account | ArgumentKind::FullJid | ArgumentKind::Jid => {
                let text = value.as_str().unwrap_or_default();
                cx.jid(text).map_or_else(|_| text.to_owned(), |jid| jid.to_string())
            }
            ArgumentKind::Choice(_) | ArgumentKind::Text => {
                value.as_str().unwrap_or_default().to_owned()
            }
            ArgumentKind::Flag | ArgumentKind::Number => value.to_string(),
        };
        Some(format!("{}={value}", argument.name))
    });
    given.collect::<Vec<_>>().join(" ")
}
