//! A command of the administrator: defined once, shown by every front (command line, socket, ad-hoc
//! commands of XMPP).
//!
//! A front finds the value of each argument in its own way and passes them to [`call`]. If the answer
//! is [`CommandError::Unconfirmed`], the front asks, and calls again.

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

/// What kind of value an argument takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ArgumentKind {
    /// A bare JID, or a local part, which means the domain that the caller named, else the default
    /// domain.
    Account,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` if it is given.
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
    /// Its name in every front, in snake case; on the command line with `-` for `_`.
    pub name: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// What it takes.
    pub kind: ArgumentKind,
    /// It must be given. Those that must are positional on the command line, in order (lines are
    /// the name of a file, or nothing for standard input; a password has no place there); all
    /// others are options.
    pub required: bool,
}

/// What a command may do to the server.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Permission {
    /// Look.
    Read,
    /// Change what is kept or who is online.
    Write,
}

/// The life of the running server as commands see it; not there when a command works on the data
/// directory alone.
#[async_trait]
pub trait ServerControl: Send + Sync {
    /// Who is online.
    fn sessions(&self) -> Vec<SessionRow>;
    /// Ends sessions: of a full JID one, of a bare JID all. Answers how many.
    async fn close(&self, jid: &Jid, reason: Option<&str>) -> usize;
    /// Removes an account with all its data, tells its contacts (RFC 6121 §2.5.2), and closes its
    /// sessions. Answers how many; `None` if there is no such account.
    ///
    /// # Errors
    /// If the store fails: then nothing has changed.
    async fn remove_account(&self, user: &BareJid) -> Result<Option<usize>, StorageError>;
    /// The role of an account has changed, or one with a role was made: from now on it counts.
    async fn admins_changed(&self) -> Result<(), StorageError>;
    /// The state of the server: name → value, in the order to be shown.
    fn status(&self) -> Vec<(&'static str, Value)>;
}

/// The arguments of a call: checked against the command's own list before it runs.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Arguments(pub Map<String, Value>);

/// What a command answers: the same for people (a table or a sentence) and programs (JSON).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Outcome {
    /// A sentence for people, with the same as JSON. A caller who wants only one of the two gets only
    /// that one.
    Done {
        /// For people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
        /// For programs. The keys of all objects are in snake case.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        json: Value,
    },
    /// As above, but a part of it could not be done; both say which.
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
        /// As many values in each row as there are columns.
        rows: Vec<Vec<Value>>,
    },
}

/// What a caller wants of an answer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Only what is for programs.
    Json,
    /// Only what is for people. Tables stay tables.
    Text,
}

/// Why a command did not do it. Each has a fixed exit code (see `cli`).
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It exists already.
    #[error("{0}")]
    Conflict(String),
    /// Something of the machine failed: no random numbers, no thread.
    #[error("{0}")]
    Failed(String),
    /// The arguments are wrong.
    #[error("{0}")]
    Invalid(String),
    /// It needs a running server.
    #[error("this needs a running server")]
    NotRunning,
    /// What was named is not there.
    #[error("{0}")]
    NotFound(String),
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It destroys something and was not confirmed: the question to ask.
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
    /// What it may do.
    fn permission(&self) -> Permission;
    /// What it answers when no server runs, if it asks the server alone. `None`: it works on the data
    /// directory then, which no other program can use meanwhile.
    fn without_server(&self, config: &Config) -> Option<Result<Outcome, CommandError>> {
        let _ = config; // most do not look at it
        None
    }
    /// It may destroy something that cannot be had back: every front has a way to confirm it.
    fn is_destructive(&self) -> bool {
        false
    }
    /// For destructive commands: the question that is to be confirmed before it runs, which names what
    /// is lost, with addresses in full. `None`: this call needs no confirmation.
    async fn question(&self, _: &CommandCx, _: &Arguments) -> Result<Option<String>, CommandError> {
        Ok(None)
    }
    /// Does it.
    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError>;
}

/// The node of a command as an ad-hoc command (XEP-0050 §2.2): that of XEP-0133 if it has one, else
/// its path, as `archive-show`.
#[must_use]
pub fn node_of(command: &dyn Command) -> String {
    let own = command.path().join("-");
    match STANDARD_NODES.iter().find(|(name, _)| *name == own) {
        Some((_, standard)) => format!("{ADMIN}#{standard}"),
        None => own,
    }
}

/// Whether this is the node of a command. Its path is one, too, with the form of the command line.
#[must_use]
pub fn is_node_of(command: &dyn Command, node: &str) -> bool {
    node == node_of(command) || node == command.path().join("-")
}

/// XEP-0133 §1: where its nodes are, and the type of its forms.
pub const ADMIN: &str = "http://jabber.org/protocol/admin";
/// Paths of commands, and what XEP-0133 calls them.
const STANDARD_NODES: &[(&str, &str)] = &[
    ("session-close", "end-user-session"),
    ("session-list", "get-online-users-list"),
    ("user-add", "add-user"),
    ("user-del", "delete-user"),
    ("user-list", "get-registered-users-list"),
    ("user-passwd", "change-user-password"),
];

impl Outcome {
    /// What a program gets: a table is a list of objects.
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

    /// Only what the caller wants of it; `None`: everything.
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
    /// Checks that all that are given are known and of their kind, and that none is missing.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] with the name of the first argument that is wrong.
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

    /// A text that must be there.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] if it is not.
    pub fn required(&self, name: &str) -> Result<&str, CommandError> {
        self.text(name)
            .ok_or_else(|| CommandError::Invalid(format!("the argument `{name}` is missing")))
    }
}

/// The names only: a value may be a password.
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
