//! An account chooses what happens to messages, calls, invitations and subscription requests of people who
//! are not its contacts.
//!
//! `router/` asks here before a message or a request arrives. A conversation that the user has begun is never
//! broken: an address to which the user has written is no stranger, nor is one that sees the presence of a
//! session, such as a room that the user has entered.

mod approach;
mod conversation;

use crate::host::strangers::{self, Approach, Choice, Guarded, Strangers as Cache};
use crate::host::{Cx, Halt, Manifest, Module, OurDomain, Registry};
use crate::jid::{BareJid, FullJid, Jid};
use crate::session::SessionRef;
use crate::stanza::{Condition, Message, MessageKind};
use crate::storage::Subscription;

pub use conversation::wrote;

/// Keeps strangers away from accounts that want it.
pub struct Strangers;

impl Module for Strangers {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "strangers",
            summary: "Keeps strangers away from accounts that want it",
            xeps: &[],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.shared(Cache::default());
    }
}

/// A message arrives for `user`. Whether it may, if its sender is a stranger.
///
/// # Errors
/// That of an account that does not exist, if the user refuses it. `internal-server-error` if the store fails.
pub async fn admit(
    cx: &Cx<'_>,
    user: &BareJid,
    resource: Option<&FullJid>,
    message: &Message,
) -> Result<(), Halt> {
    let Some(guarded) = strangers::of(cx.server, user).await? else { return Ok(()) };
    // Errors answer what the user has sent. Messages of a room go to sessions that have entered it.
    if matches!(message.kind, MessageKind::Error | MessageKind::Groupchat) {
        return Ok(());
    }
    let Some((approach, from)) = approach::of(message) else { return Ok(()) };
    match guarded.policy.on(approach) {
        Choice::Allow => Ok(()),
        Choice::Refuse if is_known(cx, &guarded, user, approach, &from).await? => Ok(()),
        // As for an account that does not exist (RFC 6121 §8.5.4).
        Choice::Refuse if message.kind == MessageKind::Headline && resource.is_none() => {
            Err(Halt::Drop(REFUSED))
        }
        Choice::Refuse => Err(Halt::bounce(Condition::ServiceUnavailable, REFUSED)),
    }
}

/// A request for a subscription arrives for `user`. Whether it may, if `contact` is a stranger.
///
/// # Errors
/// [`Halt::Drop`] if the user refuses it: an account that does not exist does not answer either
/// (RFC 6121 §8.5.1). `internal-server-error` if the store fails.
pub async fn admit_request(cx: &Cx<'_>, user: &BareJid, contact: &BareJid) -> Result<(), Halt> {
    let Some(guarded) = strangers::of(cx.server, user).await? else { return Ok(()) };
    let (approach, from) = (Approach::Subscription, contact.clone().into());
    match guarded.policy.on(approach) {
        Choice::Allow => Ok(()),
        Choice::Refuse if is_known(cx, &guarded, user, approach, &from).await? => Ok(()),
        Choice::Refuse => Err(Halt::Drop(REFUSED)),
    }
}

/// Whether `from` is no stranger to `user`.
async fn is_known(
    cx: &Cx<'_>,
    guarded: &Guarded,
    user: &BareJid,
    approach: Approach,
    from: &Jid,
) -> Result<bool, Halt> {
    let bare = from.bare_str();
    if bare == user.as_str() || guarded.known.contains(bare) {
        return Ok(true);
    }
    match cx.server.ours(from.domain()) {
        Some(OurDomain::Host(_)) if from.local().is_none() => return Ok(true),
        // Anybody can invite by a room of ours without naming who invites.
        Some(OurDomain::Service(_)) if approach != Approach::Invitation => return Ok(true),
        _ => {}
    }
    let sees_session = |session: &SessionRef| session.is_known_at(from);
    if cx.server.sessions.of(user).iter().any(sees_session) {
        return Ok(true);
    }
    let contact: Jid = from.to_bare().into();
    let item = cx.server.storage.roster().find(user, &contact).await?;
    let is_contact = item.is_some_and(|item| {
        item.listed || item.pending_out || item.approved || item.subscription != Subscription::None
    });
    Ok(is_contact || conversation::was_begun(cx, guarded, user, contact).await?)
}

/// Why a stanza goes no further.
const REFUSED: &str = "the recipient refuses strangers";
