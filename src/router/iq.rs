//! What happens to a request and its answer. Each request is answered exactly once, here
//! (RFC 6120 §8.2.3).

use std::sync::Arc;

use super::outcome::Outcome;
use super::own_account;
use crate::host::{Cx, Halt, Origin, Registry, Scope, ServiceDomain};
use crate::jid::{BareJid, FullJid};
use crate::modules::{blocking, last_activity};
use crate::stanza::{Condition, Iq, IqKind, Stanza};

/// A request or an answer leaves one of our clients. Its `from` is stamped already.
pub async fn leaves(cx: &mut Cx<'_>, mut iq: Iq) -> Result<Outcome, Halt> {
    own_account(&mut iq.head);
    blocking::refuse_outgoing(cx, &iq.head).await?;
    let client = iq.head.to.as_ref().filter(|to| iq.is_request() && to.resource().is_some());
    let client = client.map(|to| to.to_bare());
    let outcome = super::arrive(cx, Stanza::Iq(iq)).await?;
    // A client that was asked something knows that this one is there, and may ask in turn.
    if let (Some(session), Some(asked)) = (cx.origin.session(), client) {
        session.note_asked(asked);
    }
    Ok(outcome)
}

/// For a domain of ours: the server answers.
pub async fn for_host(cx: &mut Cx<'_>, iq: Iq) -> Result<Outcome, Halt> {
    answer(cx, Scope::Host, iq).await
}

/// For a service, or an address at its domain.
pub async fn for_service(cx: &mut Cx<'_>, at: &ServiceDomain, iq: Iq) -> Result<Outcome, Halt> {
    if !iq.is_request() {
        return take_answer(cx, iq);
    }
    let reply = at.service.request(cx, at, &iq).await?;
    cx.outbox.answer(Stanza::Iq(iq.result(reply)));
    Ok(Outcome::Answered)
}

/// For an account: the server answers on its behalf (RFC 6121 §8.5.2.1.3).
///
/// Strangers get the same answer whether the account exists or not.
///
/// DEPARTS: RFC 6121 §8.5.1 – who asks for an account that does not exist hears `forbidden` and not
/// `service-unavailable` where that is due to strangers (RFC 6121 §2.3.3, XEP-0012 §3, XEP-0049 §4,
/// XEP-0313 §8.1).
pub async fn for_account(cx: &mut Cx<'_>, user: &BareJid, iq: Iq) -> Result<Outcome, Halt> {
    if iq.is_request() && !cx.origin.is_of(user) {
        let registry = &cx.hosts.registry;
        let is = |which: fn(&Registry, IqKind, &str, &str) -> bool| {
            iq.payload().is_some_and(|asked| which(registry, iq.kind, asked.ns(), asked.name()))
        };
        if !is(Registry::is_public) && !is_known(cx, user, &iq).await? {
            return Err(Halt::bounce(Condition::ServiceUnavailable, STRANGER));
        }
        // There, who is blocked hears what all strangers do.
        if !is(Registry::is_closed) {
            blocking::refuse_incoming(cx, user, &iq.head).await?;
        }
    }
    answer(cx, Scope::Account, iq).await
}

/// For a session: it gets an answer to what it has asked, and a request of those who may know that it
/// is there: by a subscription, or by its directed presence. All others get the same error whether
/// there is such a session or not, so nobody finds out who is online by asking (RFC 6121 §8.5.3.1).
/// Since when a user is away, the client does not tell strangers either (XEP-0012 §4).
///
/// DEPARTS: RFC 6121 §8.5.3.1 – requests are also delivered from those whom this session has sent a
/// request itself. They have its full address from that; and both sides of a call (XEP-0166) send
/// requests, also if only one of them sees the presence of the other.
pub async fn for_session(cx: &mut Cx<'_>, full: &FullJid, iq: Iq) -> Result<Outcome, Halt> {
    let user = full.to_bare();
    let session = cx.hosts.sessions.find(full);
    let is_blocked = blocking::is_blocked(cx, &user, &iq.head).await?;
    if iq.is_request() && is_of_others(cx, &user) {
        let is_seen = match (&session, &iq.head.from) {
            (Some(session), Some(from)) => session.is_known_at(from),
            _ => false,
        };
        if is_blocked || !is_seen && !is_known(cx, &user, &iq).await? {
            return Err(match last_activity::is_asked(&iq) {
                true => Halt::bounce(Condition::Forbidden, STRANGER),
                false => Halt::bounce(Condition::ServiceUnavailable, STRANGER),
            });
        }
    }
    let refused = |reason| Halt::bounce(Condition::ServiceUnavailable, reason);
    if is_blocked {
        return Err(refused("the recipient blocks the sender"));
    }
    let session = session.ok_or_else(|| refused("no such session"))?;
    match session.deliver(Arc::new(Stanza::Iq(iq))) {
        Ok(()) => Ok(Outcome::Delivered(1)),
        Err(undelivered) => Err(refused(undelivered.reason())),
    }
}

/// A request: should a session not have read it before its end, who waits for the answer learns that
/// there will be none (RFC 6120 §8.2.3).
pub fn must_be_answered(stanza: &Stanza) -> bool {
    matches!(stanza, Stanza::Iq(_))
}

async fn answer(cx: &mut Cx<'_>, scope: Scope, iq: Iq) -> Result<Outcome, Halt> {
    if !iq.is_request() {
        return take_answer(cx, iq);
    }
    let payload = iq.payload().ok_or(Condition::BadRequest)?;
    let handler =
        cx.hosts.registry.handler(scope, iq.kind, payload.ns(), payload.name()).ok_or_else(
            || Halt::bounce(Condition::ServiceUnavailable, "no handler for this request"),
        )?;
    let reply = handler.handle(cx, &iq).await?;
    cx.outbox.answer(Stanza::Iq(iq.result(reply)));
    Ok(Outcome::Answered)
}

/// An answer to a request of the server (`host/requests.rs`). Answers to its pings and pushes say nothing
/// more, and others answer nothing.
fn take_answer(cx: &Cx<'_>, iq: Iq) -> Result<Outcome, Halt> {
    match cx.hosts.requests.answered(iq) {
        None => Ok(Outcome::Done),
        Some(_) => Err(Halt::Drop(UNASKED)),
    }
}

/// Somebody asks who is neither this user nor we ourselves.
fn is_of_others(cx: &Cx<'_>, user: &BareJid) -> bool {
    !matches!(cx.origin, Origin::Internal) && !cx.origin.is_of(user)
}

/// The sender may see the presence of this account, so its existence is no secret to him.
async fn is_known(cx: &Cx<'_>, user: &BareJid, iq: &Iq) -> Result<bool, Halt> {
    let Some(from) = &iq.head.from else { return Ok(false) };
    Ok(cx.shows_presence(user, from).await?)
}

/// Why a result or an error goes no further.
const UNASKED: &str = "an answer that nothing waits for";
/// Why a request goes no further.
const STRANGER: &str = "the sender may not know whether the recipient is there";
