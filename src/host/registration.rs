//! Making an account, and changing its password: the same for chat clients (XEP-0077) and web pages.

use std::net::IpAddr;

use super::invitations::is_reserved_name;
use super::{Invalidation, ServerState};
use crate::auth::{PasswordError, check_password};
use crate::jid::BareJid;
use crate::session::{CloseReason, SessionRef};
use crate::storage::{Created, Invitation, NewAccount, ScramKeys, StorageError};

/// Why an account was not made, or its password not changed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The invitation was used or taken back meanwhile.
    #[error("the invitation was used already")]
    Invitation,
    /// The name is invalid.
    #[error("this cannot be a name")]
    Name,
    /// The invitation is for another name.
    #[error("the invitation is for another name")]
    OtherName,
    /// This cannot be a password. The text says why, and does not quote it.
    #[error("{}", sentence(*.0))]
    Password(PasswordError),
    /// The name is reserved.
    #[error("this name is reserved")]
    Reserved,
    /// There is an account with this name.
    #[error("this name is taken")]
    Taken,
    /// Too many accounts were made from this address, or too many names were tried.
    #[error("too many accounts were made from this address: try again later")]
    TooOften,
    /// The server failed. The log says why.
    #[error("the server has failed")]
    Failed,
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        tracing::error!(%error, "cannot make or change an account");
        Self::Failed
    }
}

/// Makes an account with this local part, for somebody at the address `peer`. With an invitation it is used up
/// (XEP-0445 §4). The caller checks before whether registration is open, and afterwards makes user and inviter contacts,
/// if the invitation is for that.
///
/// # Errors
/// Why it was not made. A mistake counts for no budget.
pub async fn make_account(
    server: &ServerState,
    domain: &str,
    name: &str,
    password: &str,
    peer: IpAddr,
    invitation: Option<&Invitation>,
) -> Result<BareJid, Refusal> {
    let config = server.config.load_full();
    let user = BareJid::from_parts(Some(name), domain).map_err(|_| Refusal::Name)?;
    let given = invitation.and_then(|invitation| invitation.name.as_ref());
    if given.is_some_and(|given| *given != user) {
        return Err(Refusal::OtherName);
    }
    // `given`: the inviter has chosen this name, and may choose a reserved one.
    if given.is_none() && is_reserved_name(&config, &user) {
        return Err(Refusal::Reserved);
    }
    check_password(password).map_err(Refusal::Password)?;
    let registrations = &server.budgets.registrations;
    let (storage, now) = (&*server.storage, server.clock.now());
    let reserved = storage.invitations().reserved_for(&user, now).await?;
    let is_reserved = reserved.is_some() && reserved != invitation.map(|invitation| invitation.id);
    if is_reserved || storage.accounts().find(&user).await?.is_some() {
        return Err(if registrations.may_ask(peer) { Refusal::Taken } else { Refusal::TooOften });
    }
    if !registrations.may_make(peer) {
        return Err(Refusal::TooOften);
    }
    let keys = keys(server, password).await?;
    // The expiry was checked when the token was shown (XEP-0445 §4).
    if let Some(invitation) = invitation
        && !storage.invitations().use_invitation(invitation.id, None).await?
    {
        return Err(Refusal::Invitation);
    }
    let account = NewAccount { user: user.clone(), keys, created: now, admin: false };
    let created = storage.accounts().create(&[account]).await;
    let is_made = matches!(created.as_deref(), Ok([Created::Made]));
    if let Some(invitation) = invitation.filter(|_| !is_made) {
        storage.invitations().return_invitation(invitation.id).await?;
    }
    created?;
    if !is_made {
        return Err(Refusal::Taken);
    }
    server.invalidate(&Invalidation::Account(user.clone()));
    let inviter = invitation.map(|invitation| invitation.inviter.as_str());
    tracing::info!(jid = %user, %peer, inviter, "account registered");
    Ok(user)
}

/// Sets a new password. The sessions that logged in with the old one are closed, but not `except`. `false` if there is
/// no such account.
///
/// # Errors
/// Why it was not set.
pub async fn change_password(
    server: &ServerState,
    user: &BareJid,
    password: &str,
    except: Option<&SessionRef>,
) -> Result<bool, Refusal> {
    let keys = keys(server, password).await?;
    if !server.storage.accounts().set_keys(user, &keys).await? {
        return Ok(false);
    }
    tracing::info!(jid = %user, "password changed by its owner");
    server.sessions.revoke(user, except, &CloseReason::Revoked);
    Ok(true)
}

/// Derives the keys of a new password.
async fn keys(server: &ServerState, password: &str) -> Result<Vec<ScramKeys>, Refusal> {
    let iterations = server.config.load().auth.iterations;
    let derived = server.derivations.keys(password, iterations).await;
    derived.map_err(|error| match error.is_internal() {
        true => {
            tracing::error!(%error, "cannot derive keys");
            Refusal::Failed
        }
        false => Refusal::Password(error),
    })
}

/// What is wrong with a password. It does not quote it.
#[must_use]
pub fn sentence(error: PasswordError) -> &'static str {
    match error {
        PasswordError::Ambiguous(_) => {
            "the password has a character that clients send in different ways"
        }
        PasswordError::Direction => "the password mixes text from right to left with other text",
        PasswordError::Empty => "the password is empty",
        PasswordError::Prohibited(_) => "the password has a character that clients cannot send",
        PasswordError::TooLong => "the password is too long",
        PasswordError::Random(_) | PasswordError::Unfinished => "this password is not allowed",
    }
}
