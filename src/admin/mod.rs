//! What an administrator can do: the commands, and the socket over which a running server takes
//! them.
//!
//! A command is defined once, in [`commands`], and every front shows it. It works on a
//! [`CommandCx`] alone, so it does the same in the running server and on the data directory of
//! one that does not run. The protocol of the socket is described in `docs/admin-socket.md`.

pub mod commands;
pub mod password;
pub mod socket;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::host::command::{Arguments, Command, CommandCx, CommandError, Format, Outcome, call};

pub use commands::COMMANDS;

/// The groups of commands, with a line about each; in the order in which they are shown.
pub const GROUPS: &[(&str, &str)] = &[
    ("user", "Manage accounts"),
    ("archive", "Archives: what is kept of messages"),
    ("session", "Sessions: who is online"),
];

/// The version of the protocol of the socket. It grows when a program that knows the version before
/// would not understand the answers any more, or would not be understood.
pub const VERSION: u32 = 1;

/// A call of a command, as it goes over the socket.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The version of the protocol: [`VERSION`], which is also meant if none is given.
    #[serde(default = "version")]
    pub version: u32,
    /// Group and verb: `["user", "add"]`.
    pub command: Vec<String>,
    /// By name.
    #[serde(default)]
    pub arguments: Arguments,
    /// The domain of accounts that are given by their local part alone, and the only one in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The caller wants it even if it destroys something.
    #[serde(default)]
    pub confirmed: bool,
    /// What the caller wants of the answer; everything, if this is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
}

/// What goes back over the socket.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Reply {
    /// The version of the protocol: [`VERSION`].
    pub version: u32,
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
}

/// The answer to a call.
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
    /// It destroys something: the message is a question. If the answer is yes, the same request with
    /// `confirmed` does it.
    Unconfirmed,
}

/// The command with this path.
#[must_use]
pub fn find(path: &[String]) -> Option<&'static dyn Command> {
    COMMANDS.iter().copied().find(|command| command.path() == path)
}

/// Does what a request asks for, and logs it.
pub async fn run(cx: CommandCx, request: &Request) -> Answer {
    let result = match prepare(cx.clone(), request) {
        Ok((cx, command)) => call(&cx, command, &request.arguments, request.confirmed).await,
        Err(error) => {
            let (uid, jid) = (cx.caller.uid(), cx.caller.jid());
            let name = request.command.join(" ");
            tracing::info!(uid, jid, command = name, outcome = "failed", %error, "admin command");
            Err(error)
        }
    };
    match result {
        Ok(outcome) => Answer::Ok(outcome.in_format(request.format)),
        Err(error) => error.into(),
    }
}

fn prepare(
    cx: CommandCx,
    request: &Request,
) -> Result<(CommandCx, &'static dyn Command), CommandError> {
    if request.version != VERSION {
        return Err(CommandError::Invalid(other_version(request.version)));
    }
    let command = find(&request.command).ok_or_else(|| {
        CommandError::Invalid(format!("there is no command `{}`", request.command.join(" ")))
    })?;
    let cx = match &request.domain {
        Some(domain) => cx.in_domain(domain)?,
        None => cx,
    };
    Ok((cx, command))
}

fn version() -> u32 {
    VERSION
}

fn other_version(version: u32) -> String {
    format!("this server speaks version {VERSION} of the protocol, not version {version}")
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let code = match &error {
            CommandError::Conflict(_) => Code::Conflict,
            CommandError::Failed(_) | CommandError::Storage(_) => Code::Failed,
            CommandError::Invalid(_) => Code::Invalid,
            CommandError::NotFound(_) => Code::NotFound,
            CommandError::NotRunning => Code::NotRunning,
            CommandError::Unconfirmed(_) => Code::Unconfirmed,
        };
        Self { code, message: error.to_string() }
    }
}

impl From<CommandError> for Answer {
    fn from(error: CommandError) -> Self {
        Self::Error(error.into())
    }
}
