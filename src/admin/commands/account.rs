//! The arguments of commands, above all the account that a command is about.

use crate::host::command::{Argument, ArgumentKind, Arguments, CommandCx, CommandError};
use crate::jid::BareJid;

/// The account that a command is about.
pub(super) const ACCOUNT: Argument =
    needed("account", ArgumentKind::Account, "user@domain, or user (see --domain)");

/// A required argument.
pub(super) const fn needed(name: &'static str, kind: ArgumentKind, help: &'static str) -> Argument {
    Argument { name, help, kind, required: true }
}

/// An optional argument.
pub(super) const fn optional(
    name: &'static str,
    kind: ArgumentKind,
    help: &'static str,
) -> Argument {
    Argument { name, help, kind, required: false }
}

/// That the domain of a new account is one of ours.
pub(super) fn must_be_served(cx: &CommandCx, user: &BareJid) -> Result<(), CommandError> {
    if cx.serves(user.domain()) {
        return Ok(());
    }
    Err(cx.not_served(user.domain()))
}

/// The account that is meant, which must be there.
pub(super) async fn must_exist(
    cx: &CommandCx,
    arguments: &Arguments,
) -> Result<BareJid, CommandError> {
    let user = cx.account(arguments.required("account")?)?;
    match cx.storage.accounts().find(&user).await? {
        Some(_) => Ok(user),
        None => Err(no_such(cx, &user)),
    }
}

/// The error for an account that does not exist; it says so if its domain is not one of ours.
pub(super) fn no_such(cx: &CommandCx, user: &BareJid) -> CommandError {
    let text = format!("account {user} does not exist");
    CommandError::NotFound(match cx.serves(user.domain()) {
        true => text,
        false => format!("{text}: {}", cx.not_served(user.domain())),
    })
}
