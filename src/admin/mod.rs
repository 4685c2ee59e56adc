//! Administration: the commands, and the socket on which a running server accepts them.
//!
//! A command is defined once, in [`commands`], and offered by every front. It uses only a [`CommandCx`], so
//! it works the same way in a running server and on the data directory of a stopped one.
//! `docs/admin-socket.md` describes the protocol of the socket.

pub mod commands;
pub mod password;
pub mod socket;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::host::command::{Arguments, Command, CommandCx, CommandError, Format, Outcome, call};

pub use commands::COMMANDS;

/// The groups of commands, each with a line of help, in the order in which they are shown.
pub const GROUPS: &[(&str, &str)] = &[
    ("user", "Manage accounts"),
    ("invite", "Invitations to make an account"),
    ("archive", "Archives: what is kept of messages"),
    ("device", "Devices: which clients have access to an account"),
    ("file", "Files that users have uploaded"),
    ("token", "Tokens for the HTTP API"),
    ("push", "Phones that are woken by a push service"),
    ("session", "Sessions: who is online"),
    ("room", "Rooms of group chats"),
    ("component", "External components: gateways and other programs"),
    ("s2s", "Streams to and from other servers"),
    ("report", "Reports of spam and abuse"),
];

/// The version of the socket's protocol. It grows with every change that programs for the previous version
/// would not understand.
pub const VERSION: u32 = 1;

/// A call of a command, as it is sent over the socket.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The version of the protocol: [`VERSION`], which is also the default.
    #[serde(default = "version")]
    pub version: u32,
    /// Group and verb: `["user", "add"]`.
    pub command: Vec<String>,
    /// The arguments by name.
    #[serde(default)]
    pub arguments: Arguments,
    /// The domain for accounts that are given by their local part only. Lists show only this domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The caller confirms that the command may destroy something.
    #[serde(default)]
    pub confirmed: bool,
    /// The form of the answer that the caller wants; everything by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
}

/// An answer, as it is sent over the socket.
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
    /// The command failed.
    Error(Failure),
    /// The command succeeded.
    Ok(Outcome),
}

/// Why a call failed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Failure {
    /// The kind of failure, for programs.
    pub code: Code,
    /// The message for people.
    pub message: String,
}

/// The kinds of failures. Programs rely on their names.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The object exists already.
    Conflict,
    /// The storage or the operating system failed.
    Failed,
    /// The call is invalid.
    Invalid,
    /// The object does not exist.
    NotFound,
    /// The command needs a running server.
    NotRunning,
    /// The command destroys something. The message is a question; if the answer is yes, send the same
    /// request with `confirmed`.
    Unconfirmed,
}

/// The command with this path.
#[must_use]
pub fn find(path: &[String]) -> Option<&'static Command> {
    COMMANDS.iter().copied().find(|command| command.path == path)
}

/// Carries out a request, and logs it.
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
) -> Result<(CommandCx, &'static Command), CommandError> {
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
