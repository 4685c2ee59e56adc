//! What a feature may see and do while it has one stanza in hand.

use std::collections::VecDeque;

use super::block_list::keeps_out;
use super::{Host, Keeping, Origin, Read, RosterLock, ServerState};
use crate::jid::{BareJid, Jid};
use crate::stanza::{Condition, ErrorKind, Stanza, StanzaError};
use crate::storage::{self, StorageError};

/// What a feature may see and do while it has one stanza in hand.
pub struct Cx<'a> {
    /// All served domains and the state that they share.
    pub server: &'a ServerState,
    /// The served domain for which the stanza is processed.
    pub host: &'a Host,
    /// The sender of the stanza.
    pub origin: &'a Origin<'a>,
    /// The stanzas that are routed when this one is done.
    pub outbox: &'a mut Outbox,
    /// What is stored of the stanza.
    pub keeping: &'a mut Keeping,
}

impl Cx<'_> {
    /// The same context for another host.
    pub fn at<'b>(&'b mut self, host: &'b Host) -> Cx<'b> {
        Cx {
            server: self.server,
            host,
            origin: self.origin,
            outbox: self.outbox,
            keeping: self.keeping,
        }
    }

    /// Whether the stanza comes from an administrator's client. An administrator has the role, or is named
    /// in `admin.accounts`.
    #[must_use]
    pub fn is_of_admin(&self) -> bool {
        let Some(client) = self.origin.client() else { return false };
        let config = self.server.config.load();
        let mut named = config.admin.accounts.iter();
        self.server.admins.contains(client.bare_str())
            || named.any(|admin| admin.as_str() == client.bare_str())
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
        let item = self.server.storage.roster().find(user, &contact).await?;
        Ok(item.is_some_and(|i| i.subscription.is_from())
            && !keeps_out(&*self.server.block_list(user).await?, user, other))
    }
}

/// Why a stanza goes no further.
#[derive(Debug)]
pub enum Halt {
    /// Tell the sender, unless the stanza is an error itself (RFC 6120 §8.3.1). The log learns the
    /// reason, if the condition does not say it.
    Bounce(StanzaError, Option<&'static str>),
    /// The sender learns nothing. The log learns the reason.
    Drop(&'static str),
}

/// New stanzas, which are routed in order when the stanza in hand is done. So routing does not recurse.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<Stanza>,
    /// The stanzas that follow the answer to the request in hand.
    behind: VecDeque<Stanza>,
    /// The rosters that stay locked until the answer and the stanzas behind it are routed.
    lock: Option<RosterLock>,
    /// How many stanzas of the queue are routed before the rosters are unlocked; `None` before there is an
    /// answer.
    locked: Option<usize>,
}

impl Outbox {
    /// Sends a stanza when the one in hand is done, before its answer. Its `from` must be at a host or at
    /// a service of ours, unless it is an error.
    pub fn send(&mut self, stanza: Stanza) {
        self.queue.push_back(stanza);
    }

    /// Sends a stanza directly behind the answer to the request in hand, before stanzas that others send
    /// because of the request.
    pub fn send_behind(&mut self, stanza: Stanza) {
        self.behind.push_back(stanza);
    }

    /// Keeps rosters locked until the answer and the stanzas behind it are routed.
    pub fn unlock_behind(&mut self, lock: RosterLock) {
        self.lock = Some(lock);
    }

    /// Answers the request in hand: queues the answer, and then the stanzas behind it.
    pub fn answer(&mut self, answer: Stanza) {
        self.queue.push_back(answer);
        self.queue.append(&mut self.behind);
        self.locked = Some(self.queue.len());
    }

    /// Whether the request in hand holds the lock of this roster.
    #[must_use]
    pub fn has_locked(&self, user: &BareJid) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.covers(user))
    }

    /// Takes the next stanza.
    pub fn take(&mut self) -> Option<Stanza> {
        self.unlock();
        if let Some(left) = &mut self.locked {
            *left = left.saturating_sub(1);
        }
        self.queue.pop_front()
    }

    /// Unlocks the rosters as soon as that is allowed. `false` if they are still locked, so that others may
    /// wait for them.
    pub fn unlock(&mut self) -> bool {
        if self.queue.is_empty() || self.locked == Some(0) {
            self.lock = None;
        }
        self.lock.is_none()
    }
}

/// The error for a client when the store fails. All such failures are temporary, so the client is told to
/// try again later (`wait`, RFC 6120 §8.3.2).
#[must_use]
pub fn not_stored(error: &StorageError) -> StanzaError {
    match error {
        StorageError::Limit(_) => Condition::ResourceConstraint.into(),
        StorageError::Quota => {
            Condition::ResourceConstraint.text("the account has used up its quota")
        }
        StorageError::Full(_) => Condition::ResourceConstraint.text("the server's disk is full"),
        StorageError::Busy(_) => {
            Condition::ResourceConstraint.text("the server's database is busy")
        }
        _ => StanzaError::from(Condition::InternalServerError).kind(ErrorKind::Wait),
    }
}

impl ServerState {
    /// Counts refusals of the store because an account stores too much.
    pub fn count_refusal(&self, error: &StorageError) {
        match error {
            StorageError::Limit(storage::OFFLINE_MESSAGES) => self.budgets.kept.refused_to_wait(),
            StorageError::Quota => self.budgets.kept.refused_bytes(),
            _ => {}
        }
    }
}

impl Halt {
    /// Tell the sender this condition, which may have several reasons: the sender is not told which one
    /// it was, but the log is.
    #[must_use]
    pub fn bounce(condition: Condition, reason: &'static str) -> Self {
        Self::Bounce(condition.into(), Some(reason))
    }
}

/// The peer gets `internal-server-error`; the log gets the cause.
impl From<StorageError> for Halt {
    fn from(error: StorageError) -> Self {
        Self::Bounce(error.into(), None)
    }
}

/// The peer gets `internal-server-error`; the log gets the cause.
impl From<StorageError> for StanzaError {
    fn from(error: StorageError) -> Self {
        match &error {
            StorageError::Limit(what) => {
                tracing::debug!(limit = what, "storage limit reached")
            }
            StorageError::Quota => {}
            error => tracing::error!(%error, "storage failed"),
        }
        not_stored(&error)
    }
}

impl From<StanzaError> for Halt {
    fn from(error: StanzaError) -> Self {
        Self::Bounce(error, None)
    }
}

impl From<Condition> for Halt {
    fn from(condition: Condition) -> Self {
        Self::Bounce(condition.into(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::not_stored;
    use crate::stanza::{Condition, ErrorKind};
    use crate::storage::StorageError;

    #[test]
    fn whatever_the_store_could_not_do_may_be_tried_again() {
        let database = |text: &str| StorageError::Database(text.into());
        let cases = [
            (StorageError::Full("full"), Condition::ResourceConstraint, true),
            (StorageError::Busy("busy"), Condition::ResourceConstraint, true),
            (StorageError::Limit("items"), Condition::ResourceConstraint, false),
            (StorageError::Disk("broken".into()), Condition::InternalServerError, false),
            (database("damaged"), Condition::InternalServerError, false),
            (StorageError::Unusable("no".into()), Condition::InternalServerError, false),
        ];
        for (error, condition, has_text) in cases {
            let told = not_stored(&error);
            assert_eq!((told.condition, told.kind), (condition, ErrorKind::Wait), "{error}");
            assert_eq!(told.text.is_some(), has_text, "{error}");
        }
    }
}
