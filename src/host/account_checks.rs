//! What a handler may ask about an account: whether it exists, what its role is, who sees its presence.

use super::block_list::{self, keeps_out};
use super::{Cx, Read, ServerState, contact_list};
use crate::jid::{BareJid, Jid};
use crate::stanza::{Condition, StanzaError};
use crate::storage;

impl ServerState {
    /// Whether this account, a normalised bare JID, is one of an administrator: by the configuration, or by its role.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn is_admin(&self, bare: &str) -> storage::Result<bool> {
        if self.config.load().admin.accounts.iter().any(|admin| admin.as_str() == bare) {
            return Ok(true);
        }
        self.admins.contains(&*self.storage, bare).await
    }
}

impl Cx<'_> {
    /// Whether the stanza comes from an administrator's client. An administrator has the role, or is named
    /// in `admin.accounts`.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn is_of_admin(&self) -> storage::Result<bool> {
        let Some(client) = self.origin.client() else { return Ok(false) };
        self.server.is_admin(client.bare_str()).await
    }

    /// Whether there is an account with this address. It does not read the store if the user is online, or if
    /// the answer is cached.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn has_account(&self, user: &BareJid) -> storage::Result<bool> {
        if let Some(session) = self.server.sessions.of(user).first() {
            return Ok(!session.is_anonymous());
        }
        let read = async {
            let value = self.server.storage.accounts().find(user).await?.is_some();
            // Names that do not exist are not cached, so nobody can fill the memory with them.
            Ok(Read { value, bytes: value.then_some(0) })
        };
        self.server.known.get_or_read(user, read).await
    }

    /// Checks that there is an account before something is stored for it. Anonymous users have no account,
    /// and their data would stay for ever.
    ///
    /// # Errors
    /// `forbidden` if there is none; `internal-server-error` if the store fails.
    pub async fn must_have_account(&self, user: &BareJid) -> Result<(), StanzaError> {
        match self.server.storage.accounts().find(user).await? {
            Some(_) => Ok(()),
            None => Err(Condition::Forbidden.text("only registered users may do this")),
        }
    }

    /// Whether `other` sees the presence of `user` by a subscription (RFC 6121 §3). Only then may `other`
    /// learn that the account exists and whether the user is online. `false` if the account does not exist,
    /// or if the user has blocked `other` (XEP-0191 §3.3). Do not call it for the user's own account.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn shows_presence(&self, user: &BareJid, other: &Jid) -> storage::Result<bool> {
        let contact: Jid = other.to_bare().into();
        let contact = contact_list::find(self.server, user, &contact).await?;
        Ok(contact.is_some_and(|i| i.subscription.is_from())
            && !keeps_out(&*block_list::of(self.server, user).await?, user, other))
    }
}
