//! An account chooses what happens to messages, calls, invitations and subscription requests of people who
//! are not its contacts.
//!
//! `router/` asks here before a message or a request arrives. A conversation that the user has begun is never
//! interrupted: an address to which the user has written, or to whose node the user has subscribed, is no stranger, nor
//! is one that sees the presence of a session, such as a room that the user has entered.

mod accepted;
mod approach;
mod conversation;
mod known;
mod requests;
mod settings;
mod waiting;

use crate::archive::policy::StorePolicy;
use crate::host::strangers::{self, Approach, Choice, Guarded, Place, Strangers as Cache};
use crate::host::{Cx, Halt, Manifest, Module, Registry};
use crate::jid::{BareJid, FullJid};
use crate::stanza::{Condition, Message, MessageKind, Presence, Stanza};

use accepted::release;
pub use conversation::{asked_for_events, wrote};
use known::is_known;
pub use waiting::{Released, forget, released, waits};

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

/// Whether a message that arrives for `user` goes on, if its sender is a stranger.
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
    match strangers::of(cx.server, user).await? {
        None => Ok(Admission::Through),
        Some(guarded) => Box::pin(admit_message(cx, &guarded, user, resource, message)).await,
    }
}

async fn admit_message(
    cx: &mut Cx<'_>,
    guarded: &Guarded,
    user: &BareJid,
    resource: Option<&FullJid>,
    message: &Message,
) -> Result<Admission, Halt> {
    // Errors answer what the user has sent. Messages of a room go to sessions that have entered it.
    if matches!(message.kind, MessageKind::Error | MessageKind::Groupchat) {
        return Ok(Admission::Through);
    }
    let Some(wants) = approach::of(message) else { return Ok(Admission::Through) };
    let (approach, choice) = (wants.approach, wants.choice(&guarded.policy));
    let is_known =
        choice != Choice::Allow && is_known(cx, guarded, user, approach, &wants.by).await?;
    if choice == Choice::Allow || is_known {
        release(cx, guarded, user, &wants.by, is_known);
        return Ok(Admission::Through);
    }
    if choice == Choice::Wait {
        if !StorePolicy::of(message).wait {
            return Err(Halt::Drop("it does not wait until the user accepts its sender"));
        }
        let xml = Stanza::Message(message.clone()).to_xml();
        let held_up_by = wants.strictest(&guarded.policy);
        if keep(cx, guarded, user, held_up_by, &wants.by.to_bare(), &xml).await? {
            return Ok(Admission::Waits);
        }
    }
    // As for an account that does not exist (RFC 6121 §8.5.4).
    if message.kind == MessageKind::Headline && resource.is_none() {
        return Err(Halt::Drop(REFUSED));
    }
    Err(Halt::bounce(Condition::ServiceUnavailable, REFUSED))
}

/// Whether a request for a subscription that arrives for `user` goes on, if `contact` is a stranger.
///
/// # Errors
/// [`Halt::Drop`] if the user refuses it, or too much waits already: an account that does not exist does not
/// answer either (RFC 6121 §8.5.1). `internal-server-error` if the store fails.
pub async fn admit_request(
    cx: &mut Cx<'_>,
    user: &BareJid,
    contact: &BareJid,
    request: &Presence,
) -> Result<Admission, Halt> {
    let Some(guarded) = strangers::of(cx.server, user).await? else {
        return Ok(Admission::Through);
    };
    let approach = Approach::Subscription;
    let choice = guarded.policy.on(approach);
    let is_known =
        choice != Choice::Allow && is_known(cx, &guarded, user, approach, contact).await?;
    if choice == Choice::Allow || is_known {
        release(cx, &guarded, user, contact, is_known);
        return Ok(Admission::Through);
    }
    if choice == Choice::Wait {
        let xml = Stanza::Presence(request.clone()).to_xml();
        // Of several requests the first is stored (RFC 6121 §3.1.3).
        if guarded.waiting.iter().any(|place| is_request_of(place, contact))
            || keep(cx, &guarded, user, approach, contact, &xml).await?
        {
            return Ok(Admission::Waits);
        }
    }
    Err(Halt::Drop(REFUSED))
}

/// Forgets a waiting request for a subscription to `user`, because the contact has withdrawn it.
///
/// # Errors
/// `internal-server-error` if the store fails.
pub async fn take_back(cx: &Cx<'_>, user: &BareJid, contact: &BareJid) -> Result<(), Halt> {
    let Some(guarded) = strangers::of(cx.server, user).await? else { return Ok(()) };
    if !guarded.waiting.iter().any(|place| is_request_of(place, contact)) {
        return Ok(());
    }
    // Without the lock, because a roster may be locked here. Code that delivers the request meanwhile checks first
    // whether it still waits ([`waits`]).
    for waiting in strangers::all(&*cx.server.storage, user).await? {
        if is_request_of(&waiting.place, contact) {
            strangers::remove(cx.server, user, &waiting.key).await?;
        }
    }
    Ok(())
}

/// `user` has asked `contact` for a subscription. So the contact is no stranger, and its stanzas that wait are delivered.
pub async fn asked(cx: &mut Cx<'_>, user: &BareJid, contact: &BareJid) {
    match strangers::of(cx.server, user).await {
        Ok(Some(guarded)) => release(cx, &guarded, user, contact, true),
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(jid = %user, %error, "what waits of a stranger goes on waiting")
        }
    }
}

fn is_request_of(place: &Place, contact: &BareJid) -> bool {
    place.approach == Approach::Subscription && place.from == **contact
}

/// Stores a stanza until the user accepts or refuses its sender. `false` if there is no room for it.
async fn keep(
    cx: &mut Cx<'_>,
    guarded: &Guarded,
    user: &BareJid,
    approach: Approach,
    from: &BareJid,
    xml: &str,
) -> Result<bool, Halt> {
    if !strangers::has_room(&guarded.waiting, from.as_str(), xml.len()) {
        return Ok(false);
    }
    let is_kept = strangers::add(cx.server, user, approach, from, xml).await?;
    // The user may have accepted the sender meanwhile, and looked for what waits before this did.
    if let Some(now) = strangers::of(cx.server, user).await? {
        release(cx, &now, user, from, now.known.contains(from.as_str()));
    }
    Ok(is_kept)
}

/// Why a stanza goes no further.
const REFUSED: &str = "the recipient refuses strangers";
