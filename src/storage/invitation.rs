//! Invitations: to make an account here, or to become a contact of a user (XEP-0379, XEP-0401, XEP-0445).

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::Result;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;

/// The id of an invitation: the first half of the SHA-256 of its token, written as 32 hexadecimal digits. Reading the
/// store is not enough to use an invitation.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct InvitationId([u8; 16]);

/// What an invitation is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum InvitationKind {
    /// To make an account (XEP-0401 §4.4).
    Account,
    /// To become a contact of the inviter (XEP-0401 §4.1).
    Contact,
}

/// An invitation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The account that invites; a host, if its operator does.
    pub inviter: BareJid,
    /// What it is for.
    pub kind: InvitationKind,
    /// Whether it also serves the other purpose: the new account becomes a contact of the inviter, or a person who is
    /// invited as a contact may make an account.
    pub also: bool,
    /// The address of the account that is to be made. Nobody else can have it as long as the invitation is open.
    pub name: Option<BareJid>,
    /// How often it can still be used.
    pub uses: u32,
    /// When it was made.
    pub created: Timestamp,
    /// When it becomes invalid.
    pub expires: Timestamp,
}

impl InvitationId {
    /// The id of the invitation with this token.
    #[must_use]
    pub fn of_token(token: &str) -> Self {
        let (mut id, hash) = ([0; 16], Sha256::digest(token.as_bytes()));
        id.copy_from_slice(&hash[..16]);
        Self(id)
    }

    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u128::from_str_radix(text, 16).ok())??;
        Some(Self(number.to_be_bytes()))
    }

    pub(super) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl InvitationKind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Contact => "contact",
        }
    }

    /// As it is stored.
    pub(super) const fn code(self) -> i32 {
        match self {
            Self::Account => 0,
            Self::Contact => 1,
        }
    }

    pub(super) const fn from_code(code: i32) -> Option<Self> {
        match code {
            0 => Some(Self::Account),
            1 => Some(Self::Contact),
            _ => None,
        }
    }
}

impl Invitation {
    /// The token allows making an account.
    #[must_use]
    pub fn makes_account(&self) -> bool {
        self.kind == InvitationKind::Account || self.also
    }

    /// Using the token makes both sides contacts.
    #[must_use]
    pub fn makes_contact(&self) -> bool {
        (self.kind == InvitationKind::Contact || self.also) && self.inviter.local().is_some()
    }

    /// Whether it can be used now.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.uses > 0 && self.expires > now
    }
}

/// The invitations of users and operators. They go with the account of the inviter.
///
/// One that is used up or has expired is kept for [`REMEMBERED`], so that people are told why it does not work.
#[async_trait]
pub trait InvitationStore: Send + Sync {
    /// Stores a new invitation. The inviter has `most` of them at most; those that are not open make room for it.
    ///
    /// # Errors
    /// [`StorageError::Limit`](super::StorageError::Limit) with [`INVITATIONS`], if `most` are open.
    async fn add_invitation(&self, invitation: &Invitation, most: usize) -> Result<()>;
    /// An invitation, open or not.
    async fn find_invitation(&self, id: InvitationId) -> Result<Option<Invitation>>;
    /// The invitations of an inviter, or of all, newest first.
    async fn invitations(&self, inviter: Option<&BareJid>, limit: usize)
    -> Result<Vec<Invitation>>;
    /// Uses an invitation once. `now`: only if it has not expired. `false` if it cannot be used.
    async fn use_invitation(&self, id: InvitationId, now: Option<Timestamp>) -> Result<bool>;
    /// What an invitation was used for has not come about: it can be used once more.
    async fn return_invitation(&self, id: InvitationId) -> Result<()>;
    /// Removes an invitation, if it is of this inviter. `false` if it is not there.
    async fn remove_invitation(&self, inviter: Option<&BareJid>, id: InvitationId) -> Result<bool>;
    /// The open invitation for which the address of an account is reserved.
    async fn reserved_for(&self, name: &BareJid, now: Timestamp) -> Result<Option<InvitationId>>;
}

/// The limit of [`InvitationStore::add_invitation`].
pub const INVITATIONS: &str = "invitations";
/// How long an invitation is kept after it has expired.
pub const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);
/// At most this many old ones are removed when a new one is stored.
pub(super) const SWEPT: usize = 100;

#[cfg(test)]
mod tests {
    use super::InvitationId;

    #[test]
    fn an_id_is_written_and_read() {
        let id = InvitationId::of_token("abc");
        assert_eq!(id.to_string(), "ba7816bf8f01cfea414140de5dae2223"); // FIPS 180-4, "abc"
        assert_eq!(InvitationId::parse(&id.to_string()), Some(id));
        for wrong in
            ["", "abc", "+a7816bf8f01cfea414140de5dae2223", &"g".repeat(32), &"a".repeat(33)]
        {
            assert_eq!(InvitationId::parse(wrong), None, "{wrong}");
        }
    }
}
