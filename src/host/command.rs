//! Commands of the administrator. A command is defined once, and every front offers it: the command line,
//! the socket, and ad-hoc commands over XMPP.
//!
//! A front collects the arguments in its own way and passes them to [`call`]. If the answer is
//! [`CommandError::Unconfirmed`], the front asks the user, and calls again.

mod argument;
mod call;
mod context;
mod error;
mod outcome;
mod server_control;
mod session;

use async_trait::async_trait;

pub use self::argument::{Argument, ArgumentKind, Arguments};
pub use self::call::call;
pub use self::context::{Caller, CommandCx};
pub use self::error::CommandError;
pub use self::outcome::{Format, Outcome};
pub use self::server_control::ServerControl;
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
