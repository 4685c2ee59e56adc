//! Commands of the administrator. A command is defined once, and every front offers it: the command line,
//! the socket, and ad-hoc commands over XMPP.
//!
//! A front collects the arguments in its own way and passes them to [`call`]. If the answer is
//! [`CommandError::Unconfirmed`], the front asks the user, and calls again.

mod call;
mod context;
mod session;

use std::borrow::Cow;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::call::call;
pub use self::context::{Caller, CommandCx};
pub use self::session::SessionRow;

use crate::auth::PasswordError;
use crate::config::Config;
use crate::jid::{BareJid, Jid};
use crate::storage::StorageError;

/// The kind of value that an argument takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ArgumentKind {
    /// A bare JID, or a local part, which means the domain that the caller named, else the default
    /// domain.
    Account,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A flag: `true` if it is given.
    Flag,
    /// A full JID.
    FullJid,
    /// A JID, bare or full; a local part alone means a domain as with accounts.
    Jid,
    /// Many lines of text: a file, or standard input. Never shown, never logged.
    Lines,
    /// A whole number.
    Number,
    /// A password: from a prompt or standard input. Never shown, never logged. A front asks for
    /// it unless the flag `random` of the same command is given.
    Password,
    /// Any text.
    Text,
}

/// One argument of a command.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// The name in every front, in snake case. On the command line `-` replaces `_`.
    pub name: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// The kind of its value.
    pub kind: ArgumentKind,
    /// Whether it is required. Required arguments are positional on the command line, in order (for lines:
    /// the name of a file, or nothing for standard input; a password is never positional). All others are
    /// options.
    pub required: bool,
}

/// What a command may do to the server.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Permission {
    /// It only reads.
    Read,
    /// It changes stored data or ends sessions.
    Write,
}

/// The running server, as commands use it. There is none if a command works on the data directory of a
/// stopped server.
#[async_trait]
pub trait ServerControl: Send + Sync {
    /// The sessions.
    fn sessions(&self) -> Vec<SessionRow>;
    /// Ends the session of a full JID, or all sessions of a bare JID. Returns how many.
    async fn close(&self, jid: &Jid, reason: Option<&str>) -> usize;
    /// Removes an account with all its data, tells its contacts (RFC 6121 §2.5.2), and closes its
    /// sessions. Returns how many; `None` if there is no such account.
    ///
    /// # Errors
    /// If the store fails: then nothing has changed.
    async fn remove_account(&self, user: &BareJid) -> Result<Option<usize>, StorageError>;
    /// Applies a changed role of an account.
    async fn admins_changed(&self) -> Result<(), StorageError>;
    /// The state of the server: names and values, in the order in which they are shown.
    fn status(&self) -> Vec<(&'static str, Value)>;
}

/// The arguments of a call. They are checked against the command's list before it runs.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Arguments(pub Map<String, Value>);

/// The answer of a command, in a form for people (a table or a sentence) and for programs (JSON).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Outcome {
    /// A sentence for people, and the same as JSON. A caller that wants only one of them gets only that one.
    Done {
        /// For people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
        /// For programs. The keys of all objects are in snake case.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        json: Value,
    },
    /// The same, but a part of the work failed. Both forms say which part.
    Partly {
        /// For people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
        /// For programs.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        json: Value,
    },
    /// Rows under the same columns.
    Table {
        /// Names of the columns: keys of the JSON objects.
        columns: Vec<Cow<'static, str>>,
        /// The rows. Each has one value for each column.
        rows: Vec<Vec<Value>>,
    },
}

/// The form of the answer that a caller wants.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Only the form for programs.
    Json,
    /// Only the form for people. Tables stay tables.
    Text,
}

/// Why a command failed. Each kind has a fixed exit code (see `cli`).
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The object exists already.
    #[error("{0}")]
    Conflict(String),
    /// The operating system failed: no random numbers, no thread.
    #[error("{0}")]
    Failed(String),
    /// The arguments are invalid.
    #[error("{0}")]
    Invalid(String),
    /// The command needs a running server.
    #[error("this needs a running server")]
    NotRunning,
    /// The object does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The command destroys something and was not confirmed. This is the question to ask.
    #[error("{0}")]
    Unconfirmed(String),
}

impl From<PasswordError> for CommandError {
    fn from(error: PasswordError) -> Self {
        match error.is_internal() {
            true => Self::Failed(error.to_string()),
            false => Self::Invalid(error.to_string()),
        }
    }
}

/// A command.
#[async_trait]
pub trait Command: Send + Sync {
    /// Group and verb: `["user", "add"]`, or `["status"]`.
    fn path(&self) -> &'static [&'static str];
    /// One line for people.
    fn about(&self) -> &'static str;
    /// Its arguments, positional ones first.
    fn arguments(&self) -> &'static [Argument];
    /// What the command may do.
    fn permission(&self) -> Permission;
    /// The answer of a command that needs a running server, when there is none. `None`: the command works on
    /// the data directory then, and no other program can use the directory in the meantime.
    fn without_server(&self, config: &Config) -> Option<Result<Outcome, CommandError>> {
        let _ = config; // most do not look at it
        None
    }
    /// Whether it may destroy something for good. Every front has a way to confirm such a command.
    fn is_destructive(&self) -> bool {
        false
    }
    /// For destructive commands: the question that must be confirmed. It names what is lost, with full
    /// addresses. `None`: this call needs no confirmation.
    async fn question(&self, _: &CommandCx, _: &Arguments) -> Result<Option<String>, CommandError> {
        Ok(None)
    }
    /// Runs the command.
    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError>;
}

/// The node of a command as an ad-hoc command (XEP-0050 §2.2): the node of XEP-0133 if there is one, else its
/// path, for example `archive-show`.
#[must_use]
pub fn node_of(command: &dyn Command) -> String {
    let own = command.path().join("-");
    match STANDARD_NODES.iter().find(|(name, _)| *name == own) {
        Some((_, standard)) => format!("{ADMIN}#{standard}"),
        None => own,
    }
}

/// Whether this is the node of a command. The path of the command is a valid node, too.
#[must_use]
pub fn is_node_of(command: &dyn Command, node: &str) -> bool {
    node == node_of(command) || node == command.path().join("-")
}

/// The prefix of the nodes of XEP-0133, which is also the type of its forms (XEP-0133 §1).
pub const ADMIN: &str = "http://jabber.org/protocol/admin";
/// Paths of commands, and their names in XEP-0133.
const STANDARD_NODES: &[(&str, &str)] = &[
    ("session-close", "end-user-session"),
    ("session-list", "get-online-users-list"),
    ("user-add", "add-user"),
    ("user-del", "delete-user"),
    ("user-list", "get-registered-users-list"),
    ("user-passwd", "change-user-password"),
];

impl Outcome {
    /// The form for programs: a table becomes a list of objects.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Done { json, .. } | Self::Partly { json, .. } => json.clone(),
            Self::Table { columns, rows } => {
                let names = || columns.iter().map(|column| column.to_string());
                let object = |row: &Vec<Value>| names().zip(row.iter().cloned()).collect();
                rows.iter().map(object).map(Value::Object).collect()
            }
        }
    }

    /// The part that the caller wants; `None`: everything.
    #[must_use]
    pub fn in_format(self, format: Option<Format>) -> Self {
        match (format, self) {
            (None, all) => all,
            (Some(Format::Json), Self::Partly { json, .. }) => {
                Self::Partly { json, text: String::new() }
            }
            (Some(Format::Json), other) => {
                Self::Done { json: other.to_json(), text: String::new() }
            }
            (Some(Format::Text), Self::Done { text, .. }) => Self::Done { text, json: Value::Null },
            (Some(Format::Text), Self::Partly { text, .. }) => {
                Self::Partly { text, json: Value::Null }
            }
            (Some(Format::Text), table @ Self::Table { .. }) => table,
        }
    }
}

impl Arguments {
    /// Checks that all given arguments are known and valid, and that no required one is missing.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] with the name of the first invalid argument.
    pub fn check(&self, known: &[Argument]) -> Result<(), CommandError> {
        let invalid = |text: String| Err(CommandError::Invalid(text));
        for (name, value) in &self.0 {
            let Some(argument) = known.iter().find(|argument| argument.name == name) else {
                return invalid(format!("there is no argument `{name}`"));
            };
            let fits = match argument.kind {
                ArgumentKind::Flag => value.is_boolean(),
                ArgumentKind::Number => value.is_u64(),
                ArgumentKind::Account
                | ArgumentKind::Choice(_)
                | ArgumentKind::FullJid
                | ArgumentKind::Jid
                | ArgumentKind::Lines
                | ArgumentKind::Password
                | ArgumentKind::Text => value.is_string(),
            };
            if !fits {
                return invalid(format!("the argument `{name}` has the wrong type"));
            }
            if let ArgumentKind::Choice(words) = argument.kind
                && !words.iter().any(|word| value == word)
            {
                return invalid(format!("the argument `{name}` is one of {}", words.join(", ")));
            }
        }
        match known.iter().find(|a| a.required && !self.0.contains_key(a.name)) {
            Some(missing) => invalid(format!("the argument `{}` is missing", missing.name)),
            None => Ok(()),
        }
    }

    /// A flag: `false` if it is not given.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A number, if it is given.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(Value::as_u64)
    }

    /// A text of any kind, if it is given.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A required text.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] if it is missing.
    pub fn required(&self, name: &str) -> Result<&str, CommandError> {
        self.text(name)
            .ok_or_else(|| CommandError::Invalid(format!("the argument `{name}` is missing")))
    }
}

/// Shows the names only: a value may be a password.
impl std::fmt::Debug for Arguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Argument, ArgumentKind, Arguments};

    const KNOWN: &[Argument] = &[
        Argument { name: "account", help: "", kind: ArgumentKind::Account, required: true },
        Argument { name: "limit", help: "", kind: ArgumentKind::Number, required: false },
        Argument { name: "random", help: "", kind: ArgumentKind::Flag, required: false },
    ];

    fn problem(arguments: serde_json::Value) -> Option<String> {
        let arguments: Arguments = serde_json::from_value(arguments).unwrap();
        arguments.check(KNOWN).err().map(|error| error.to_string())
    }

    #[test]
    fn arguments_are_checked_against_the_list_of_the_command() {
        assert_eq!(problem(json!({"account": "romeo", "limit": 3, "random": true})), None);
        assert_eq!(problem(json!({})).unwrap(), "the argument `account` is missing");
        assert_eq!(
            problem(json!({"account": "a", "colour": 1})).unwrap(),
            "there is no argument `colour`"
        );
        for wrong in [
            json!({"account": 7}),
            json!({"account": "a", "limit": -1}),
            json!({"account": "a", "limit": "3"}),
            json!({"account": "a", "random": "yes"}),
        ] {
            assert!(problem(wrong.clone()).unwrap().ends_with("has the wrong type"), "{wrong}");
        }
    }

    #[test]
    fn arguments_do_not_show_their_values() {
        let arguments: Arguments = serde_json::from_value(json!({"password": "secret"})).unwrap();
        assert_eq!(format!("{arguments:?}"), r#"["password"]"#);
    }
}
