//! A command of the administrator: defined once, shown by every front (command line, socket, and
//! later HTTP, ad-hoc commands and the console).

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::clock::Clock;
use crate::config::Config;
use crate::jid::{BareJid, FullJid};
use crate::storage::{Storage, StorageError};

/// What kind of value an argument takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ArgumentKind {
    /// A bare JID, or a local part which means the first domain of the configuration.
    Account,
    /// `true` if it is given.
    Flag,
    /// A full JID.
    FullJid,
    /// Many lines of text: a file, or standard input. Never shown, never logged.
    Lines,
    /// A whole number.
    Number,
    /// A password: from a prompt or standard input. Never shown, never logged.
    Password,
    /// Any text.
    Text,
}

/// One argument of a command.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// Its name in every front, in kebab case.
    pub name: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// What it takes.
    pub kind: ArgumentKind,
    /// It must be given. Those that must and are neither password nor lines are positional on the
    /// command line, in order; all others are options.
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
pub trait Running: Send + Sync {
    /// Who is online.
    fn sessions(&self) -> Vec<SessionRow>;
    /// Ends sessions: of a full JID one, of a bare JID all. Answers how many.
    async fn close(&self, jid: &crate::jid::Jid, reason: Option<&str>) -> usize;
    /// The state of the server: name → value, in the order to be shown.
    fn status(&self) -> Vec<(&'static str, Value)>;
}

/// A session as an administrator sees it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SessionRow {
    /// Whose.
    pub jid: FullJid,
    /// Where the client is.
    pub peer: String,
    /// Seconds since it was bound.
    pub seconds: u64,
    /// `None` until the first presence (RFC 6121 §4.2).
    pub priority: Option<i8>,
    /// How it is protected, for example `TLSv1.3`.
    pub tls: String,
}

/// What a command works with.
#[derive(Clone)]
pub struct CommandCx {
    /// Everything that is kept.
    pub storage: Arc<dyn Storage>,
    /// The configuration.
    pub config: Arc<Config>,
    /// The date.
    pub clock: Clock,
    /// The running server; `None` when the command works on the data directory alone.
    pub running: Option<Arc<dyn Running>>,
    /// The domain meant by a local part alone.
    pub default_domain: String,
}

/// The arguments of a call: checked against the command's own list before it runs.
#[derive(Clone, Debug, Default)]
pub struct Arguments(pub serde_json::Map<String, Value>);

/// What a command answers: the same for people (a table or a sentence) and programs (JSON).
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A sentence for people, with the same as JSON.
    Done {
        /// For people.
        text: String,
        /// For programs.
        json: Value,
    },
    /// Rows under the same columns.
    Table {
        /// Names of the columns: keys of the JSON objects.
        columns: Vec<&'static str>,
        /// As many values in each row as there are columns.
        rows: Vec<Vec<Value>>,
    },
}

/// Why a command did not do it. Each has a fixed exit code (see `cli`).
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It exists already.
    #[error("{0}")]
    Conflict(String),
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
    /// Does it.
    async fn run(&self, cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError>;
}

impl CommandCx {
    /// Reads an account argument: `romeo`, or `romeo@montague.lit`.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] if it is no bare JID with a local part.
    pub fn account(&self, text: &str) -> Result<BareJid, CommandError> {
        let text = if text.contains('@') {
            text.to_owned()
        } else {
            format!("{text}@{}", self.default_domain)
        };
        let bad = || CommandError::Invalid(format!("`{text}` is not an account: user@domain"));
        let jid = crate::jid::Jid::parse(&text).map_err(|_| bad())?;
        if jid.local().is_none() || jid.resource().is_some() {
            return Err(bad());
        }
        Ok(jid.to_bare())
    }
}
