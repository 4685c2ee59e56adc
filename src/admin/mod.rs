//! What an administrator can do: the commands, and the socket over which a running server takes
//! them.
//!
//! A command is defined once, in [`commands`], and every front shows it. It works on a
//! [`CommandCx`] alone, so it does the same in the running server and on the data directory of
//! one that does not run.

pub mod commands;
pub mod password;
pub mod socket;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::host::command::{ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome};

pub use commands::COMMANDS;

/// The groups of commands, with a line about each; in the order in which they are shown.
pub const GROUPS: &[(&str, &str)] = &[
    ("user", "Accounts: who may log in"),
    ("archive", "Archives: what is kept of messages"),
    ("session", "Sessions: who is online"),
];

/// A call of a command, as it goes over the socket.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Group and verb: `["user", "add"]`.
    pub command: Vec<String>,
    /// By name.
    #[serde(default)]
    pub arguments: Arguments,
}

/// The answer to a call, as it goes over the socket.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// It was not done.
    Error(Failure),
    /// It was done.
    Ok(Outcome),
}

/// Why a call was not done, for fronts.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Failure {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
}

/// The kinds of failures. Programs rely on their names.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// It exists already.
    Conflict,
    /// Storage or the machine failed.
    Failed,
    /// The call is wrong.
    Invalid,
    /// What was named is not there.
    NotFound,
    /// It needs a running server.
    NotRunning,
}

/// The command with this path.
#[must_use]
pub fn find(path: &[String]) -> Option<&'static dyn Command> {
    COMMANDS.iter().copied().find(|command| command.path() == path)
}

/// Checks a call and does it. Each is logged, without the values of its arguments but the address
/// it is about.
pub async fn run(cx: &CommandCx, request: &Request) -> Answer {
    let Some(command) = find(&request.command) else {
        let name = request.command.join(" ");
        return CommandError::Invalid(format!("there is no command `{name}`")).into();
    };
    let jid = command
        .arguments()
        .iter()
        .filter(|a| {
            matches!(a.kind, ArgumentKind::Account | ArgumentKind::FullJid | ArgumentKind::Jid)
        })
        .find_map(|argument| request.arguments.text(argument.name));
    let kind = command.path().join(" ");
    let result = match request.arguments.check(command.arguments()) {
        Ok(()) => command.run(cx, &request.arguments).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(outcome) => {
            tracing::info!(kind, jid, "administrator's command done");
            Answer::Ok(outcome)
        }
        Err(error) => {
            tracing::info!(kind, jid, %error, "administrator's command not done");
            error.into()
        }
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let code = match &error {
            CommandError::Conflict(_) => Code::Conflict,
            CommandError::Failed(_) | CommandError::Storage(_) => Code::Failed,
            CommandError::Invalid(_) => Code::Invalid,
            CommandError::NotFound(_) => Code::NotFound,
            CommandError::NotRunning => Code::NotRunning,
        };
        Self { code, message: error.to_string() }
    }
}

impl From<CommandError> for Answer {
    fn from(error: CommandError) -> Self {
        Self::Error(error.into())
    }
}
