//! Keeping a message, once, for all who hold it: sender and recipient in their archives
//! (XEP-0313 §6.1.1), the recipient by the marker "not yet delivered" (docs/delivery.md).
//!
//! It has its number at once and goes on to those who are online; what the disk says comes by a
//! receipt, for which the sender's acknowledgement waits, and nobody else.

use bytes::Bytes;
use smallvec::SmallVec;

use super::preferences;
use crate::archive::policy::{self, StorePolicy};
use crate::host::{Cx, Halt, Origin};
use crate::jid::{BareJid, Jid};
use crate::payload::stanza_id;
use crate::stanza::{Condition, Message, Stanza, StanzaError};
use crate::storage::{Holder, MessageId, NewMessage, Way};

/// For whom a message is.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    /// The account.
    pub user: &'a BareJid,
    /// There is such an account; not for anonymous users, for whom nothing is kept.
    pub has_account: bool,
    /// A session of it will get the message now.
    pub is_there: bool,
}

/// One of our users has sent the message in hand: if anybody keeps it, she does, too.
///
/// It is kept together with the recipient's: one body, one number, one transaction; and what is
/// refused by the recipient is in no archive.
pub fn sent_by(cx: &mut Cx<'_>, user: &BareJid) {
    if let Origin::Client(session) = cx.origin
        && !session.is_anonymous()
    {
        cx.keeping.sender = Some(user.clone());
    }
}

/// Keeps a message that arrives for an account, and markers it with its id if it is in the archive
/// (XEP-0313 §3.5, XEP-0359 §2.1). Answers the marker that falls when a client has it; `None` if it is
/// not kept for delivery.
///
/// # Errors
/// `service-unavailable` if nobody is there and it cannot wait; `internal-server-error` if the store
/// is closed. That it is full, or that too much waits, is told by the receipt.
pub async fn keep(
    cx: &mut Cx<'_>,
    recipient: &Recipient<'_>,
    message: &mut Message,
) -> Result<Option<MessageId>, Halt> {
    let worth = policy::worth(message);
    let sender = cx.keeping.sender.take();
    if !worth.archive && !worth.wait {
        return Ok(None);
    }
    let mut holders = SmallVec::<[Holder; 2]>::new();
    if let Some(sender) = sender {
        holders.extend(sent(cx, sender, message, worth).await?);
    }
    let own = received(cx, recipient, message, worth).await?;
    let (archive, waiting) = own.as_ref().map_or((false, false), |own| (own.archive, own.waiting));
    holders.extend(own);
    if holders.is_empty() {
        return Ok(None);
    }
    cx.keeping.wrote(holders.len());
    let search = cx.hosts.config.load().archive.search;
    let new = NewMessage {
        at: cx.hosts.clock.now(),
        xml: Bytes::from(Stanza::Message(message.clone()).to_bytes()),
        holders,
        search: if search { policy::searchable(message) } else { None },
        handled: cx.keeping.handled,
    };
    let kept = cx.hosts.storage.archive().keep(new).await?;
    cx.keeping.handled = None;
    cx.keeping.receipts.push(kept.receipt);
    if archive {
        let id = cx.hosts.message_ids.write(kept.id);
        message.content.add(&stanza_id::stanza_id(recipient.user, &id));
    }
    if waiting && !recipient.is_there {
        cx.hosts.metrics.offline_stored.inc();
    }
    Ok(waiting.then_some(kept.id))
}

/// What the sender holds of it, if anything.
async fn sent(
    cx: &Cx<'_>,
    sender: BareJid,
    message: &Message,
    worth: StorePolicy,
) -> Result<Option<Holder>, StanzaError> {
    let Some(to) = &message.head.to else { return Ok(None) };
    let archive = archives(cx, worth) && is_wanted(cx, &sender, to).await?;
    Ok(archive.then(|| Holder {
        owner: sender,
        with: to.clone(),
        way: Way::Sent,
        archive,
        waiting: false,
        limit: None,
    }))
}

/// What the recipient holds of it, if anything: in the archive, until it is delivered, or both.
async fn received(
    cx: &Cx<'_>,
    recipient: &Recipient<'_>,
    message: &Message,
    worth: StorePolicy,
) -> Result<Option<Holder>, StanzaError> {
    let Recipient { user, has_account, is_there } = *recipient;
    let Some(from) = message.head.from.as_ref().filter(|_| has_account) else { return Ok(None) };
    let most = cx.hosts.config.load().limits.offline_messages;
    let archive = archives(cx, worth) && is_wanted(cx, user, from).await?;
    let waiting = worth.wait && (is_there || most > 0);
    if worth.wait && !waiting && !archive {
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

fn archives(cx: &Cx<'_>, worth: StorePolicy) -> bool {
    worth.archive && cx.hosts.config.load().archive.enabled
}

/// A user wants messages to or from `with` in her archive (XEP-0441 §2).
async fn is_wanted(cx: &Cx<'_>, user: &BareJid, with: &Jid) -> Result<bool, StanzaError> {
    let preferences = preferences::of(cx, user).await?;
    let is_contact = preferences.needs_roster() && is_contact(cx, user, with).await?;
    Ok(preferences.allow(with, is_contact))
}

/// XEP-0441 §2.1.1: `roster` means those who are in the roster.
async fn is_contact(cx: &Cx<'_>, user: &BareJid, with: &Jid) -> Result<bool, StanzaError> {
    let contact: Jid = with.to_bare().into();
    let item = cx.hosts.storage.roster().find(user, &contact).await?;
    Ok(item.is_some_and(|item| item.listed))
}
