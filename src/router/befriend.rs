//! An account was made by an invitation of a user: both become contacts.

use super::internal::Internal;
use super::route::Router;
use super::subscription;
use crate::jid::BareJid;

impl Router {
    /// Makes two users of ours contacts of each other (XEP-0401 §4.4). If that fails, the log says so, and they can ask
    /// each other.
    pub async fn befriend(&self, inviter: &BareJid, user: &BareJid) {
        let Some(mut work) = Internal::for_domain(self, inviter.domain()) else { return };
        let done = subscription::befriend(&mut work.cx(), inviter, user).await;
        work.finish().await;
        if let Err(error) = done {
            tracing::warn!(%inviter, jid = %user, condition = ?error.condition, "could not make them contacts");
        }
    }
}
