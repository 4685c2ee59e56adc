//! Invitations: links by which people make an account here, or become contacts of a user (XEP-0401, XEP-0445,
//! XEP-0379). What clients, administrators and web pages do with them is the same, and stands here.
//!
//! A link has a token, which is random and stored as a hash only. So a link can be shown once, when it is made.

use std::time::Duration;

use super::ServerState;
use super::uploads::later;
use crate::config::{Config, Inviters};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::random::random_token;
use crate::storage::{
    self, INVITATIONS, Invitation, InvitationId, InvitationKind, Storage, StorageError,
};
use crate::upload::percent_encoded;

/// What an inviter wants.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What it is for.
    pub kind: InvitationKind,
    /// As [`Invitation::also`].
    pub also: bool,
    /// The address of the new account. `None`: the invited person chooses it.
    pub name: Option<BareJid>,
    /// How often it can be used.
    pub uses: u32,
    /// How long it can be used. `None`: as long as the operator has configured.
    pub lifetime: Option<Duration>,
}

/// An invitation that was made just now.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The invitation.
    pub invitation: Invitation,
    /// Its token, which is stored nowhere.
    pub token: String,
}

/// Why no invitation was made.
#[derive(Debug, thiserror::Error)]
pub enum NotInvited {
    /// They are switched off.
    #[error("invitations are switched off")]
    Disabled,
    /// The name is not free: there is such an account, it is reserved, or another invitation is for it.
    #[error("{0} cannot be had: it is taken or reserved")]
    Taken(BareJid),
    /// The inviter has too many open invitations.
    #[error("too many invitations are open: revoke one, or wait until one is used or expires")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Makes an invitation of this account or host. `by_operator`: names that are reserved (`registration.reserved`) can be
/// had, and there is no bound.
///
/// # Errors
/// Why it was not made.
pub async fn create(
    storage: &dyn Storage,
    config: &Config,
    now: Timestamp,
    inviter: &BareJid,
    by_operator: bool,
    wish: Wish,
) -> Result<Issued, NotInvited> {
    if !config.invitations.enabled {
        return Err(NotInvited::Disabled);
    }
    if let Some(name) = &wish.name {
        let is_reserved = !by_operator && is_reserved_name(config, name);
        let is_taken = storage.accounts().find(name).await?.is_some()
            || storage.invitations().reserved_for(name, now).await?.is_some();
        if is_reserved || is_taken {
            return Err(NotInvited::Taken(name.clone()));
        }
    }
    let token = random_token();
    let invitation = Invitation {
        id: InvitationId::of_token(&token),
        inviter: inviter.clone(),
        kind: wish.kind,
        also: wish.also,
        name: wish.name,
        uses: wish.uses,
        created: now,
        expires: later(now, wish.lifetime.unwrap_or(config.invitations.lifetime)),
    };
    let most = if by_operator { usize::MAX } else { config.invitations.per_account };
    match storage.invitations().add_invitation(&invitation, most).await {
        Ok(()) => Ok(Issued { invitation, token }),
        Err(StorageError::Limit(INVITATIONS)) => Err(NotInvited::TooMany),
        Err(error) => Err(error.into()),
    }
}

/// Whether a name is one that nobody can register, or that of an administrator.
#[must_use]
pub fn is_reserved_name(config: &Config, user: &BareJid) -> bool {
    let domain = user.domain();
    let is_this = |name: &String| BareJid::from_parts(Some(name), domain).is_ok_and(|n| n == *user);
    config.admin.accounts.contains(user) || config.registration.reserved.iter().any(is_this)
}

/// What a user may invite people to: with `Some`, to become contacts, and (`also`) to make an account for it.
#[must_use]
pub fn of_user(config: &Config, is_admin: bool) -> Wish {
    let also = is_admin || config.invitations.accounts == Inviters::Users;
    Wish { kind: InvitationKind::Contact, also, name: None, uses: 1, lifetime: None }
}

/// The invitation with this token, if it can be used now.
///
/// # Errors
/// If the store fails.
pub async fn open(server: &ServerState, token: &str) -> storage::Result<Option<Invitation>> {
    let found = find(server, token).await?;
    Ok(found.filter(|invitation| invitation.is_open(server.clock.now())))
}

/// The invitation with this token, whether it can be used or not. `None` if there is none, or they are switched off.
///
/// # Errors
/// If the store fails.
pub async fn find(server: &ServerState, token: &str) -> storage::Result<Option<Invitation>> {
    let is_token = token.len() <= MOST && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_token || token.is_empty() || !server.config.load().invitations.enabled {
        return Ok(None);
    }
    server.storage.invitations().find_invitation(InvitationId::of_token(token)).await
}

/// Uses an invitation to become a contact of `user`. `false` if it is for something else, or cannot be used: then the
/// request is one like all others (XEP-0379 §5.1).
///
/// # Errors
/// If the store fails.
pub async fn accept_contact(
    server: &ServerState,
    user: &BareJid,
    token: &str,
) -> storage::Result<bool> {
    let Some(invitation) = open(server, token).await? else { return Ok(false) };
    if invitation.inviter != *user || invitation.kind != InvitationKind::Contact {
        return Ok(false);
    }
    let now = Some(server.clock.now());
    server.storage.invitations().use_invitation(invitation.id, now).await
}

/// The address of an invitation for chat clients (XEP-0401 §4.1, §4.4; XEP-0445 §2).
#[must_use]
pub fn uri(invitation: &Invitation, token: &str) -> String {
    let Invitation { inviter, kind, also, name, .. } = invitation;
    let address = |jid: &BareJid| match jid.local() {
        Some(local) => format!("{}@{}", percent_encoded(local), percent_encoded(jid.domain())),
        None => percent_encoded(jid.domain()),
    };
    match kind {
        InvitationKind::Contact => {
            let ibr = if *also { ";ibr=y" } else { "" };
            format!("xmpp:{}?roster;preauth={token}{ibr}", address(inviter))
        }
        InvitationKind::Account => {
            let host = percent_encoded(inviter.domain());
            let to = name.as_ref().map_or(host, address);
            format!("xmpp:{to}?register;preauth={token}")
        }
    }
}

/// The page that explains an invitation (XEP-0401 §4.2). `None` if the server has no address for pages.
#[must_use]
pub fn landing_url(config: &Config, invitation: &Invitation, token: &str) -> Option<String> {
    let base = config.pages_url(invitation.inviter.domain())?;
    Some(format!("{base}/invite/{token}"))
}

/// The invitations of a user that can be used now, newest first.
///
/// # Errors
/// If the store fails.
pub async fn open_of(
    storage: &dyn Storage,
    user: &BareJid,
    now: Timestamp,
) -> storage::Result<Vec<Invitation>> {
    let mut found = storage.invitations().invitations(Some(user), SHOWN).await?;
    found.retain(|known| known.is_open(now));
    Ok(found)
}

/// Invitations of a user that are shown at most.
const SHOWN: usize = 200;
/// Characters of a token that is looked up.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_specifications() {
        let jid = |text| BareJid::parse(text).unwrap();
        let (contact, account) = (InvitationKind::Contact, InvitationKind::Account);
        let romeo = "romeo@example.com";
        for (inviter, kind, also, name, expected) in [
            (romeo, contact, true, None, "xmpp:romeo@example.com?roster;preauth=T;ibr=y"),
            (romeo, contact, false, None, "xmpp:romeo@example.com?roster;preauth=T"),
            (romeo, account, true, None, "xmpp:example.com?register;preauth=T"),
            (
                "example.com",
                account,
                false,
                Some("juliet@example.com"),
                "xmpp:juliet@example.com?register;preauth=T",
            ),
            ("a?b@example.com", contact, false, None, "xmpp:a%3Fb@example.com?roster;preauth=T"),
            ("é@example.com", contact, false, None, "xmpp:%C3%A9@example.com?roster;preauth=T"),
        ] {
            let invitation = Invitation {
                id: InvitationId::of_token("T"),
                inviter: jid(inviter),
                kind,
                also,
                name: name.map(jid),
                uses: 1,
                created: Timestamp::from_micros(0),
                expires: Timestamp::from_micros(1),
            };
            assert_eq!(uri(&invitation, "T"), expected);
        }
    }
}
