//! An account chooses what happens to messages, calls, invitations and subscription requests of people who
//! are not its contacts.
//!
//! `router/` asks here before a message or a request arrives. A conversation that the user has begun is never
//! broken: an address to which the user has written is no stranger, nor is one that sees the presence of a
//! session, such as a room that the user has entered.

mod approach;
mod conversation;
mod requests;
mod settings;
mod waiting;

use crate::archive::policy::StorePolicy;
use crate::host::strangers::{self, Approach, Choice, Guarded, Place, Strangers as Cache};
use crate::host::{Cx, Halt, Manifest, Module, OurDomain, Registry, contact_list};
use crate::jid::{BareJid, FullJid, Jid};
use crate::session::SessionRef;
use crate::stanza::{Condition, Message, MessageKind, Presence, Stanza};
use crate::storage::Subscription;

pub use conversation::wrote;
pub use waiting::{Released, forget, released};

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
        on.account_command(&settings::Settings).account_command(&requests::Requests);
    }
}

/// What becomes of a stanza that is not refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// It goes on.
    Through,
    /// It is stored, and waits until the user accepts its sender.
    Waits,
}

/// A message arrives for `user`. Whether it goes on, if its sender is a stranger.
///
/// # Errors
/// That of an account that does not exist, if the user refuses it or too much waits already.
/// `internal-server-error` if the store fails.
pub async fn admit(
    cx: &mut Cx<'_>,
    user: &BareJid,
    resource: Option<&FullJid>,
    message: &Message,
) -> Result<Admission, Halt> {
    let Some(guarded) = strangers::of(cx.server, user).await? else {
        return Ok(Admission::Through);
    };
    // Errors answer what the user has sent. Messages of a room go to sessions that have entered it.
    if matches!(message.kind, MessageKind::Error | MessageKind::Groupchat) {
        return Ok(Admission::Through);
    }
    let Some((approach, from)) = approach::of(message) else { return Ok(Admission::Through) };
    let choice = guarded.policy.on(approach);
    if choice == Choice::Allow || is_known(cx, &guarded, user, approach, &from).await? {
        waiting::release(cx, &guarded, user, &from);
        return Ok(Admission::Through);
    }
    if choice == Choice::Wait {
        if !StorePolicy::of(message).wait {
            return Err(Halt::Drop("it does not wait until the user accepts its sender"));
        }
        let xml = Stanza::Message(message.clone()).to_xml();
        if keep(cx, &guarded, user, approach, &from.to_bare(), &xml).await? {
            return Ok(Admission::Waits);
        }
    }
    // As for an account that does not exist (RFC 6121 §8.5.4).
    if message.kind == MessageKind::Headline && resource.is_none() {
        return Err(Halt::Drop(REFUSED));
    }
    Err(Halt::bounce(Condition::ServiceUnavailable, REFUSED))
}

/// A request for a subscription arrives for `user`. Whether it goes on, if `contact` is a stranger.
///
/// # Errors
/// [`Halt::Drop`] if the user refuses it, or too much waits already: an account that does not exist does not
/// answer either (RFC 6121 §8.5.1). `internal-server-error` if the store fails.
pub async fn admit_request(
    cx: &Cx<'_>,
    user: &BareJid,
    contact: &BareJid,
    request: &Presence,
) -> Result<Admission, Halt> {
    let Some(guarded) = strangers::of(cx.server, user).await? else {
        return Ok(Admission::Through);
    };
    let approach = Approach::Subscription;
    let choice = guarded.policy.on(approach);
    if choice == Choice::Allow || is_known(cx, &guarded, user, approach, contact).await? {
        return Ok(Admission::Through);
    }
    if choice == Choice::Wait {
        let waits = |place: &Place| place.approach == approach && place.from == **contact;
        let xml = Stanza::Presence(request.clone()).to_xml();
        // Of several requests the first is stored (RFC 6121 §3.1.3).
        if guarded.waiting.iter().any(waits)
            || keep(cx, &guarded, user, approach, contact, &xml).await?
        {
            return Ok(Admission::Waits);
        }
    }
    Err(Halt::Drop(REFUSED))
}

/// Stores a stanza until the user accepts or refuses its sender. `false` if there is no room for it.
async fn keep(
    cx: &Cx<'_>,
    guarded: &Guarded,
    user: &BareJid,
    approach: Approach,
    from: &BareJid,
    xml: &str,
) -> Result<bool, Halt> {
    if !strangers::has_room(&guarded.waiting, from.as_str(), xml.len()) {
        return Ok(false);
    }
    Ok(strangers::add(cx.server, user, approach, from, xml).await?)
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
    let item = contact_list::find(cx.server, user, &contact).await?;
    let is_contact = item.is_some_and(|item| {
        item.listed || item.pending_out || item.subscription != Subscription::None
    });
    Ok(is_contact || conversation::was_begun(cx, guarded, user, contact).await?)
}

/// Why a stanza goes no further.
const REFUSED: &str = "the recipient refuses strangers";
