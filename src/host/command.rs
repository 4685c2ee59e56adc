//! Commands of the administrator. A command is defined once, and every front offers it: the command line,
//! the socket, and ad-hoc commands over XMPP.
//!
//! A [`Command`] describes itself, and names the function that it runs. A front collects the arguments in its
//! own way and passes them to [`call`]. If the answer is [`CommandError::Unconfirmed`], the front asks the
//! user, and calls again.

mod argument;
mod call;
mod context;
mod error;
mod outcome;
mod server_control;
mod session;

use std::pin::Pin;

pub use self::argument::{Argument, ArgumentKind, Arguments};
pub use self::call::call;
pub use self::context::{Caller, CommandCx};
pub use self::error::CommandError;
pub use self::outcome::{Format, Outcome};
pub use self::server_control::{ComponentRow, ServerControl};
pub use self::session::SessionRow;

use crate::config::Config;

/// What a command may do to the server.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Permission {
    /// It only reads.
    Read,
    /// It changes stored data or ends sessions.
    Write,
}

/// The description of a command: all that a front must know to offer it, and what it does.
pub struct Command {
    /// Group and verb: `["user", "add"]`, or `["status"]`.
    pub path: &'static [&'static str],
    /// One line for people.
    pub about: &'static str,
    /// Its arguments, positional ones first.
    pub arguments: &'static [Argument],
    /// What the command may do.
    pub permission: Permission,
    /// Only for a command that may destroy something for good: the question that must be confirmed. It names
    /// what is lost, with full addresses. If the answer is `None`, this call needs no confirmation.
    pub question: Option<Run<Option<String>>>,
    /// What the command does when no server runs.
    pub without_server: WithoutServer,
    /// Runs the command.
    pub run: Run<Outcome>,
}

/// A function of a command. The arguments have been checked against the list of the command.
pub type Run<T> = for<'a> fn(&'a CommandCx, &'a Arguments) -> Running<'a, T>;

/// What such a function returns.
pub type Running<'a, T> = Pin<Box<dyn Future<Output = Result<T, CommandError>> + Send + 'a>>;

/// What a command does when no server runs.
#[derive(Clone, Copy)]
pub enum WithoutServer {
    /// It answers from the configuration.
    Answer(fn(&Config) -> Outcome),
    /// It fails with [`CommandError::NotRunning`].
    NotRunning,
    /// It works on the data directory. No other program can use the directory in the meantime.
    OnData,
}

impl Command {
    /// Group and verb as one text: `user add`.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.join(" ")
    }

    /// Whether it may destroy something for good. Every front has a way to confirm such a command.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        self.question.is_some()
    }
}

/// The node of a command as an ad-hoc command (XEP-0050 §2.2): the node of XEP-0133 if there is one, else its
/// path, for example `archive-show`.
#[must_use]
pub fn node_of(command: &Command) -> String {
    let own = command.path.join("-");
    match STANDARD_NODES.iter().find(|(name, _)| *name == own) {
        Some((_, standard)) => format!("{ADMIN}#{standard}"),
        None => own,
    }
}

/// Whether this is the node of a command. The path of the command is a valid node, too.
#[must_use]
pub fn is_node_of(command: &Command, node: &str) -> bool {
    node == node_of(command) || node == command.path.join("-")
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
