//! What happens to a request and to its answer. Each request is answered exactly once (RFC 6120 §8.2.3):
//! here, or by a service that has said [`Reply::Later`].

use super::iq_session::{STRANGER, for_session, is_known};
use super::outcome::Outcome;
use super::{delegated, remote};
use crate::host::{Access, AddressKind, Cx, Destination, Entry, Halt, Reply, ServiceDomain};
use crate::jid::BareJid;
use crate::modules::{blocking, capabilities, strangers};
use crate::stanza::{Condition, Iq, IqKind, Stanza};

/// A client sends a request or an answer. Its `from` is stamped already.
pub async fn leaves(cx: &mut Cx<'_>, mut iq: Iq) -> Result<Outcome, Halt> {
    iq.head.address_to_own_account();
    blocking::refuse_outgoing(cx, &iq.head).await?;
    if let Some(user) = cx.origin.user().filter(|_| iq.kind == IqKind::Set) {
        strangers::asked_for_events(cx, &user, &iq).await?;
    }
    let client = iq.head.to.as_ref().filter(|to| iq.is_request() && to.resource().is_some());
    let client = client.map(|to| to.to_bare());
    let outcome = to_recipient(cx, iq).await?;
    // The client that was asked knows now that this one is online, and may ask in turn.
    if let (Some(session), Some(asked)) = (cx.origin.owned(), client) {
        session.note_asked(asked);
    }
    Ok(outcome)
}

/// Hands a request, or the answer to one, over to what lives at its `to` (RFC 6121 §8.4, §8.5.2.1.3,
/// §8.5.3.1).
pub(super) async fn to_recipient(cx: &mut Cx<'_>, iq: Iq) -> Result<Outcome, Halt> {
    let Some(to) = iq.head.to.clone() else { return Err(Halt::Drop("no recipient")) };
    match cx.server.destination(&to) {
        Destination::Account(host, user) => for_account(&mut cx.at(host), &user, iq).await,
        Destination::Session(host, full) => for_session(&mut cx.at(host), &full, iq).await,
        Destination::Host(host) => for_host(&mut cx.at(host), iq).await,
        Destination::Service(at) => for_service(&mut cx.at(&at.host), at, iq).await,
        Destination::Remote => remote::leaves(cx, Stanza::Iq(iq)).map(|()| Outcome::HandedOver),
    }
}

/// For a host: the server answers.
async fn for_host(cx: &mut Cx<'_>, iq: Iq) -> Result<Outcome, Halt> {
    if !iq.is_request() {
        return take_answer(cx, iq).await;
    }
    if let Some(outcome) = delegated::take(cx, None, &iq).await? {
        return Ok(outcome);
    }
    let found = find(cx, AddressKind::Host, &iq)?;
    let may_ask = match found.map(|found| found.access) {
        Some(Access::Admins) => cx.is_of_admin().await?,
        Some(Access::HostUsers) => {
            cx.origin.user().is_some_and(|user| user.domain() == cx.host.domain)
        }
        Some(Access::Public) | None => true,
        // They are for accounts alone.
        Some(_) => false,
    };
    if !may_ask {
        return Err(Halt::bounce(Condition::Forbidden, STRANGER));
    }
    answer(cx, found, &iq).await
}

/// For a service, or for an address at its domain: what features answer for all services, they answer
/// for this one: everybody may ask that (`Access::is_for`). All else is up to the service.
async fn for_service(cx: &mut Cx<'_>, at: &ServiceDomain, iq: Iq) -> Result<Outcome, Halt> {
    if !iq.is_request() {
        return match cx.server.requests.answered(iq) {
            None => Ok(Outcome::Done),
            Some(iq) => {
                let service = cx.registry.service_at(at);
                service.response(cx, at, iq).await.map(|()| Outcome::HandedOver)
            }
        };
    }
    let address = match &iq.head.to {
        Some(to) if *to == at.jid => Some(AddressKind::Service),
        Some(to) if to.is_bare() => Some(AddressKind::ServiceAddress),
        _ => None,
    };
    let found = match address {
        Some(address) => find(cx, address, &iq)?,
        None => None,
    };
    if found.is_some() {
        return answer(cx, found, &iq).await;
    }
    if let Reply::Now(payload) = cx.registry.service_at(at).request(cx, at, &iq).await? {
        cx.outbox.answer(Stanza::Iq(iq.result(payload)));
        return Ok(Outcome::Answered);
    }
    Ok(Outcome::HandedOver)
}

/// For an account: the server answers on its behalf (RFC 6121 §8.5.2.1.3). Others than the user get the
/// same answer whether the account exists or not.
///
/// DEPARTS: RFC 6121 §8.5.1 – to a request that its specification forbids to others, the answer is
/// `forbidden`, also if the account does not exist, and not `service-unavailable` (RFC 6121 §2.3.3,
/// XEP-0012 §3, XEP-0049 §4, XEP-0313 §8.1); to one for carbons it is `not-allowed` (XEP-0280 §5).
async fn for_account(cx: &mut Cx<'_>, user: &BareJid, iq: Iq) -> Result<Outcome, Halt> {
    if !iq.is_request() {
        return take_answer(cx, iq).await;
    }
    if let Some(outcome) = delegated::take(cx, Some(user), &iq).await? {
        return Ok(outcome);
    }
    if let Some(outcome) = delegated::take_discovery(cx, user, &iq, false).await? {
        return Ok(outcome);
    }
    let found = find(cx, AddressKind::Account, &iq)?;
    if !cx.origin.is_of(user) {
        refuse_others(cx, user, &iq, found.map(|found| found.access)).await?;
    }
    let done = answer(cx, found, &iq).await;
    // XEP-0355 §7.2.4: a node that only a component may know.
    if let Err(Halt::Bounce(error, _)) = &done
        && error.condition == Condition::ItemNotFound
        && let Some(outcome) = delegated::take_discovery(cx, user, &iq, true).await?
    {
        return Ok(outcome);
    }
    done
}

/// Refuses a request to the account of another user, as its [`Access`] says.
async fn refuse_others(
    cx: &Cx<'_>,
    user: &BareJid,
    iq: &Iq,
    access: Option<Access>,
) -> Result<(), Halt> {
    match access {
        Some(Access::Public) => blocking::refuse_incoming(cx, user, &iq.head).await,
        Some(Access::Admins) if cx.is_of_admin().await? => Ok(()),
        Some(Access::Admins | Access::OwnerElseForbidden) => {
            Err(Halt::bounce(Condition::Forbidden, STRANGER))
        }
        Some(Access::OwnerElseNotAllowed) => Err(Halt::bounce(Condition::NotAllowed, STRANGER)),
        Some(Access::Owner) if is_known(cx, user, iq).await? => {
            Err(Halt::bounce(Condition::Forbidden, STRANGER))
        }
        Some(Access::ContactsElseForbidden) if !is_known(cx, user, iq).await? => {
            Err(Halt::bounce(Condition::Forbidden, STRANGER))
        }
        Some(Access::Contacts) if !is_known(cx, user, iq).await? => {
            Err(Halt::bounce(Condition::ServiceUnavailable, STRANGER))
        }
        Some(Access::Contacts | Access::ContactsElseForbidden) => Ok(()),
        // The registry takes no request of the users of a host to an account.
        Some(Access::HostUsers | Access::Owner) | None => {
            Err(Halt::bounce(Condition::ServiceUnavailable, STRANGER))
        }
    }
}

/// Whether the sender of this stanza must be told if it was not received: the sender of a request waits
/// for its answer (RFC 6120 §8.2.3).
pub fn must_be_answered(stanza: &Stanza) -> bool {
    matches!(stanza, Stanza::Iq(_))
}

/// The entry for this request, if some feature answers it.
fn find(cx: &Cx<'_>, address: AddressKind, iq: &Iq) -> Result<Option<Entry>, Condition> {
    let payload = iq.payload().ok_or(Condition::BadRequest)?;
    Ok(cx.registry.entry(address, iq.kind, payload.ns(), payload.name()))
}

async fn answer(cx: &mut Cx<'_>, found: Option<Entry>, iq: &Iq) -> Result<Outcome, Halt> {
    let found = found.ok_or_else(|| {
        Halt::bounce(Condition::ServiceUnavailable, "no handler for this request")
    })?;
    let payload = found.handler.handle(cx, iq).await?;
    cx.outbox.answer(Stanza::Iq(iq.result(payload)));
    Ok(Outcome::Answered)
}

/// An answer to a request of the server (`host/requests.rs`). Answers to its pings and pushes say nothing
/// more, and others answer nothing.
async fn take_answer(cx: &mut Cx<'_>, iq: Iq) -> Result<Outcome, Halt> {
    let of_capabilities = capabilities::has_asked(cx, &iq).then(|| iq.clone());
    if cx.server.requests.answered(iq).is_some() {
        return Err(Halt::Drop(UNASKED));
    }
    if let Some(answer) = of_capabilities {
        capabilities::answered(cx, &answer).await;
    }
    Ok(Outcome::Done)
}

/// Why a result or an error goes no further.
const UNASKED: &str = "an answer that nothing waits for";
