//! Stores a message once for all who hold it: the sender and the recipient in their archives
//! (XEP-0313 §6.1.1), the recipient also with the marker "undelivered" (docs/delivery.md).
//!
//! The message has its number at once and goes on to the clients. A receipt resolves when the message
//! is on the disk; only the acknowledgement of the sender waits for that.

use bytes::Bytes;
use smallvec::SmallVec;

use super::preferences;
use crate::archive::policy::StorePolicy;
use crate::host::{ArchiveWatchers, Cx, Halt, Kept, contact_list};
use crate::jid::{BareJid, Jid};
use crate::payload::stanza_id;
use crate::stanza::{Condition, Message, Stanza, StanzaError};
use crate::storage::{Holder, NewMessage, Way};

/// An account that a message is for.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    /// The address of the account.
    pub user: &'a BareJid,
    /// The account exists. `false` for anonymous users: nothing is stored for them.
    pub has_account: bool,
    /// A session of the account gets the message now.
    pub is_there: bool,
}

/// Stores a message for its sender and its recipient, as far as they are accounts of ours and want
/// it: one body, one number, one transaction. If it is in the recipient's archive, it gets the
/// recipient's `<stanza-id/>` (XEP-0313 §3.5, XEP-0359 §2.1).
///
/// `sender` is the account whose client has sent the message; `None` if no client has. `recipient` is
/// `None` if the message is not for an account of ours. Returns `None` if nothing is stored. A message
/// that is refused here is in no archive.
///
/// # Errors
/// `service-unavailable` if nobody is there and the message cannot wait; `internal-server-error` if
/// the store cannot be read, or is closed. The receipt in [`Cx::keeping`] says whether the disk is
/// full, or too many messages wait.
pub async fn keep(
    cx: &mut Cx<'_>,
    sender: Option<&BareJid>,
    recipient: Option<&Recipient<'_>>,
    message: &mut Message,
) -> Result<Option<Kept>, Halt> {
    let policy = StorePolicy::of(message);
    if !policy.archive && !policy.wait {
        return Ok(None);
    }
    let sent = match sender {
        Some(sender) => for_sender(cx, sender, message, policy).await?,
        None => None,
    };
    let received = match recipient {
        Some(recipient) => for_recipient(cx, recipient, message, policy).await?,
        None => None,
    };
    let in_sender = sent.is_some();
    let (in_recipient, has_marker) =
        received.as_ref().map_or((false, false), |holder| (holder.archive, holder.waiting));
    let holders: SmallVec<[Holder; 2]> = sent.into_iter().chain(received).collect();
    if holders.is_empty() {
        return Ok(None);
    }
    cx.keeping.count_writes(holders.len());
    let new = NewMessage {
        at: cx.server.clock.now(),
        xml: Bytes::from(Stanza::Message(message.clone()).to_bytes()),
        holders,
        handled: cx.keeping.handled,
    };
    let stored = cx.server.storage.archive().keep(new).await?;
    cx.keeping.handled = None;
    cx.keeping.receipts.push(stored.receipt);
    if in_sender {
        cx.keeping.archived = Some(stored.id);
    }
    if let Some(watchers) = cx.server.find_shared::<ArchiveWatchers>() {
        if let Some(sender) = sender.filter(|_| in_sender) {
            watchers.wake(sender);
        }
        if let Some(recipient) = recipient.filter(|_| in_recipient) {
            watchers.wake(recipient.user);
        }
    }
    if let Some(recipient) = recipient {
        if in_recipient {
            let id = cx.server.message_ids.write(stored.id);
            message.content.add(&stanza_id::stanza_id(recipient.user, &id));
        }
        if has_marker && !recipient.is_there {
            cx.server.metrics.offline_stored.inc();
        }
    }
    Ok(Some(Kept { id: stored.id, in_sender, in_recipient, has_marker }))
}

/// The sender's part, if the sender has an archive and wants the message in it.
async fn for_sender(
    cx: &Cx<'_>,
    sender: &BareJid,
    message: &Message,
    policy: StorePolicy,
) -> Result<Option<Holder>, StanzaError> {
    let Some(to) = &message.head.to else { return Ok(None) };
    // Anonymous users have no archive.
    if cx.origin.session().is_some_and(|session| session.is_anonymous()) {
        return Ok(None);
    }
    let archive = archives(cx, policy) && is_wanted(cx, sender, to).await?;
    Ok(archive.then(|| Holder {
        owner: sender.clone(),
        with: to.clone(),
        way: Way::Sent,
        archive,
        waiting: false,
        limit: None,
    }))
}

/// The recipient's part, if there is one: in the archive, until it is delivered, or both.
async fn for_recipient(
    cx: &Cx<'_>,
    recipient: &Recipient<'_>,
    message: &Message,
    policy: StorePolicy,
) -> Result<Option<Holder>, StanzaError> {
    let Recipient { user, has_account, is_there } = *recipient;
    let Some(from) = message.head.from.as_ref().filter(|_| has_account) else { return Ok(None) };
    let most = cx.server.config.load().limits.offline_messages;
    let archive = archives(cx, policy) && is_wanted(cx, user, from).await?;
    let waiting = policy.wait && (is_there || most > 0);
    if policy.wait && !waiting && !archive {
        return Err(
            Condition::ServiceUnavailable.text("messages for offline users are not stored here")
        );
    }
    Ok((archive || waiting).then(|| Holder {
        owner: user.clone(),
        with: from.clone(),
        way: Way::Received,
        archive,
        waiting,
        limit: (!is_there).then_some(most),
    }))
}

/// The message belongs in archives, and this server has archives.
fn archives(cx: &Cx<'_>, policy: StorePolicy) -> bool {
    policy.archive && cx.server.config.load().archive.enabled
}

/// Whether the user wants messages to or from `with` in the archive (XEP-0441 §2).
async fn is_wanted(cx: &Cx<'_>, user: &BareJid, with: &Jid) -> Result<bool, StanzaError> {
    let preferences = preferences::of(cx, user).await?;
    let is_contact = preferences.needs_roster() && is_contact(cx, user, with).await?;
    Ok(preferences.allow(with, is_contact))
}

/// XEP-0441 §2.1.1: `roster` means the addresses in the roster.
async fn is_contact(cx: &Cx<'_>, user: &BareJid, with: &Jid) -> Result<bool, StanzaError> {
    let contact: Jid = with.to_bare().into();
    let contact = contact_list::find(cx.server, user, &contact).await?;
    Ok(contact.is_some_and(|contact| contact.listed))
}
