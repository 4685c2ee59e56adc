//! What a feature may see and do while it has one stanza in hand.

use std::collections::VecDeque;

use super::block_list::keeps_out;
use super::{Host, Hosts, Keeping, Origin, Read, RosterLock};
use crate::jid::{BareJid, Jid};
use crate::stanza::{Condition, ErrorKind, Stanza, StanzaError};
use crate::storage::{self, StorageError};

/// What a feature may see and do while it has one stanza in hand.
pub struct Cx<'a> {
    /// All served domains and what they share.
    pub hosts: &'a Hosts,
    /// The served domain that is concerned.
    pub host: &'a Host,
    /// Who sent the stanza.
    pub origin: &'a Origin<'a>,
    /// Stanzas to route when this one is done.
    pub outbox: &'a mut Outbox,
    /// What is kept of the stanza.
    pub keeping: &'a mut Keeping,
}

impl Cx<'_> {
    /// The same context, at the host that is concerned now.
    pub fn at<'b>(&'b mut self, host: &'b Host) -> Cx<'b> {
        Cx {
            hosts: self.hosts,
            host,
            origin: self.origin,
            outbox: self.outbox,
            keeping: self.keeping,
        }
    }

    /// The stanza comes from a client of an administrator: by the role of the account, or as
    /// `admin.accounts` names it.
    #[must_use]
    pub fn is_of_admin(&self) -> bool {
        let Some(client) = self.origin.client() else { return false };
        let config = self.hosts.config.load();
        let mut named = config.admin.accounts.iter();
        self.hosts.admins.contains(client.bare_str())
            || named.any(|admin| admin.as_str() == client.bare_str())
    }

    /// There is an account of this address. No read of the store if that was asked for lately, or
    /// she is online.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn has_account(&self, user: &BareJid) -> storage::Result<bool> {
        if let Some(session) = self.hosts.sessions.of(user).first() {
            return Ok(!session.is_anonymous());
        }
        let read = async {
            let value = self.hosts.storage.accounts().find(user).await?.is_some();
            // Nobody fills the memory with names that do not exist.
            Ok(Read { value, bytes: value.then_some(0) })
        };
        self.hosts.known.get_or_read(user, read).await
    }

    /// Sees to it that there is an account before something is kept for it: anonymous users have
    /// none, and what they kept would stay for ever.
    ///
    /// # Errors
    /// `forbidden` if there is none; `internal-server-error` if the store fails.
    pub async fn must_have_account(&self, user: &BareJid) -> Result<(), StanzaError> {
        match self.hosts.storage.accounts().find(user).await? {
            Some(_) => Ok(()),
            None => Err(Condition::Forbidden.text("only registered users may do this")),
        }
    }

    /// Whether `user` shows her presence to `other` by subscription (RFC 6121 §3): only then is
    /// it no secret that she exists, and whether she is there. `false` for accounts that do not
    /// exist, and for those whom she has blocked (XEP-0191 §3.3). One's own account is not asked
    /// about.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn shows_presence(&self, user: &BareJid, other: &Jid) -> storage::Result<bool> {
        let contact: Jid = other.to_bare().into();
        let item = self.hosts.storage.roster().find(user, &contact).await?;
        Ok(item.is_some_and(|i| i.subscription.is_from())
            && !keeps_out(&*self.hosts.block_list(user).await?, user, other))
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

/// New stanzas on their way: routed in order when the stanza in hand is done. No recursion.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<Stanza>,
    /// These follow the answer to the request in hand.
    behind: VecDeque<Stanza>,
    /// Rosters that are locked until the answer and what follows it have gone.
    lock: Option<RosterLock>,
    /// So many stanzas of the queue go before they are unlocked; `None` before there is an answer.
    locked: Option<usize>,
}

impl Outbox {
    /// Sends a stanza when the one in hand is done, before its answer. Its `from` must be at a host or at
    /// a service of ours, unless it is an error.
    pub fn send(&mut self, stanza: Stanza) {
        self.queue.push_back(stanza);
    }

    /// Sends a stanza directly behind the answer to the request in hand, before what others send
    /// because of the request.
    pub fn send_behind(&mut self, stanza: Stanza) {
        self.behind.push_back(stanza);
    }

    /// Keeps rosters locked until the answer, and what is sent behind it, has gone.
    pub fn unlock_behind(&mut self, lock: RosterLock) {
        self.lock = Some(lock);
    }

    /// The request in hand is answered: the answer goes, and then what is to be sent behind it.
    pub fn answer(&mut self, answer: Stanza) {
        self.queue.push_back(answer);
        self.queue.append(&mut self.behind);
        self.locked = Some(self.queue.len());
    }

    /// Whether this roster is locked already by the request in hand.
    #[must_use]
    pub fn has_locked(&self, user: &BareJid) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.covers(user))
    }

    /// The next one.
    pub fn take(&mut self) -> Option<Stanza> {
        self.unlock();
        if let Some(left) = &mut self.locked {
            *left = left.saturating_sub(1);
        }
        self.queue.pop_front()
    }

    /// Unlocks the rosters if they may be unlocked by now. `false` if they are still locked: others may
    /// wait for them.
    pub fn unlock(&mut self) -> bool {
        if self.queue.is_empty() || self.locked == Some(0) {
            self.lock = None;
        }
        self.lock.is_none()
    }
}

/// What a client hears when something could not be stored or read. All of it passes: a disk is
/// cleared, a lock released, a machine mended. So clients are told to try again later (`wait`), and
/// not that it is of no use (RFC 6120 §8.3.2).
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

impl Hosts {
    /// Counts what the store has refused because an account keeps too much.
    pub fn count_refusal(&self, error: &StorageError) {
        match error {
            StorageError::Limit(storage::WAITING) => self.budgets.kept.refused_to_wait(),
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

/// The peer learns that it was our fault; the log learns the cause.
impl From<StorageError> for Halt {
    fn from(error: StorageError) -> Self {
        Self::Bounce(error.into(), None)
    }
}

/// The peer learns that it was our fault; the log learns the cause.
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
