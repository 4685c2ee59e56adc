//! XEP-0356: Privileged Entity. A component acts for users of ours, as far as its configuration allows it: it reads and
//! changes rosters, and sends messages and requests in their names.

use std::time::Duration;

use super::act_for;
use super::internal::Internal;
use super::outcome::{self, Outcome};
use super::route::Router;
use crate::config::MessageGrant;
use crate::host::privileges::{NS, component_at};
use crate::host::{Answer, Destination, Host, Origin, RequestError, Route as _, stanza_log};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::payload::forward::{self, write_forwarded};
use crate::stanza::StanzaError;
use crate::stanza::{Condition, Content, Iq, IqKind, Message, MessageKind, Refusal, Stanza};
use crate::xml::{ElementRef, Frame, element};

/// Takes what the component with this domain asks for as a privileged entity, and carries it to the end. Returns any
/// other stanza.
///
/// What is done in the name of others has a span and a record of its own, besides those of what the component has sent.
pub(super) async fn take(
    router: &Router,
    (domain, origin): (&str, &Origin<'_>),
    stanza: Stanza,
) -> Option<Stanza> {
    let Some(to) = &stanza.head().to else { return Some(stanza) };
    let destination = router.server.destination(to);
    let done = match (&stanza, destination) {
        (Stanza::Iq(iq), destination) if iq.is_request() => {
            let is = |ns, name| iq.payload().is_some_and(|payload| payload.is(ns, name));
            match destination {
                Destination::Account(host, user) if is(ns::ROSTER, "query") => {
                    roster(router, domain, (host, &user), iq).await
                }
                Destination::Account(host, user) if is(NS, "privileged_iq") => {
                    request(router, domain, (host, &user), iq).await
                }
                _ if is(NS, "privileged_iq") => Err(forbidden("this is no account")),
                _ => return Some(stanza),
            }
        }
        (Stanza::Message(message), Destination::Host(host))
            if message.kind != MessageKind::Error
                && message.content.has_received_child(NS, "privilege") =>
        {
            write(router, domain, host, message).await
        }
        _ => return Some(stanza),
    };
    let answer = done.as_ref().err().and_then(|error| error.answer(&stanza));
    stanza_log::span(&stanza, Some(origin)).in_scope(|| match &done {
        Ok(()) => outcome::log(Outcome::Done),
        Err(error) => stanza_log::note_refusal(error, error.text, answer.is_some()),
    });
    if let Some(answer) = answer {
        router.route(answer).await;
    }
    None
}

/// A request for the roster of a user (§4.3). The server answers as it would answer the user.
async fn roster(
    router: &Router,
    domain: &str,
    (host, user): (&Host, &BareJid),
    request: &Iq,
) -> Result<(), StanzaError> {
    let config = router.server.config.load_full();
    component_at(&router.server, &config, domain, &host.domain)
        .filter(|component| component.roster.allow(request.kind))
        .ok_or_else(|| forbidden("the component has no privilege for rosters"))?;
    // RFC 6121 §2.1.4
    if !exists(router, user).await? {
        return Err(Condition::ItemNotFound.into());
    }
    act_for::user(router, domain, host, user, Stanza::Iq(request.clone())).await;
    Ok(())
}

/// A message in the name of a user or of the host (§5).
async fn write(
    router: &Router,
    domain: &str,
    host: &Host,
    outer: &Message,
) -> Result<(), StanzaError> {
    let config = router.server.config.load_full();
    component_at(&router.server, &config, domain, &host.domain)
        .filter(|component| component.message == MessageGrant::Outgoing)
        .ok_or_else(|| forbidden("the component has no privilege for messages"))?;
    let privilege = outer.content.received_child(NS, "privilege");
    let forwarded = privilege.and_then(|privilege| privilege.child(forward::NS, "forwarded"));
    let inner = forwarded.and_then(|forwarded| forwarded.child(ns::CLIENT, "message"));
    let inner = read(&inner.ok_or(Condition::BadRequest)?)?;
    let wrong = || forbidden("a forwarded message is from a user of the host, without a resource");
    let from = inner.head().from.clone().ok_or_else(wrong)?;
    if from.domain() != host.domain || from.resource().is_some() {
        return Err(wrong());
    }
    if from.local().is_none() {
        act_for::host(router, domain, host, inner).await;
        return Ok(());
    }
    let user = from.to_bare();
    if !exists(router, &user).await? {
        return Err(wrong());
    }
    act_for::user(router, domain, host, &user, inner).await;
    Ok(())
}

/// A request in the name of a user (§6). The answer is sent to the component when it comes.
async fn request(
    router: &Router,
    domain: &str,
    (host, user): (&Host, &BareJid),
    outer: &Iq,
) -> Result<(), StanzaError> {
    let server = &router.server;
    let payload = outer.payload().ok_or(Condition::BadRequest)?;
    let mut children = payload.children();
    let inner = children.next().ok_or(Condition::BadRequest)?;
    if !inner.is(ns::CLIENT, "iq") || children.next().is_some() {
        return Err(forbidden("the request must be an iq in the namespace of clients"));
    }
    if inner.attr("type").as_deref() != Some(outer.kind.as_str()) {
        return Err(forbidden("both requests must have the same type"));
    }
    let Stanza::Iq(inner) = read(&inner)? else { return Err(Condition::BadRequest.into()) };
    if inner.head.from.as_ref().is_some_and(|from| from.as_str() != user.as_str()) {
        return Err(forbidden("the request is from somebody else"));
    }
    let ns = inner.payload().ok_or(Condition::BadRequest)?.ns().to_owned();
    let config = server.config.load_full();
    component_at(server, &config, domain, &host.domain)
        .filter(|component| component.requests(&ns).allow(inner.kind))
        .ok_or_else(|| forbidden("the component has no privilege for this request"))?;
    if !exists(router, user).await? {
        return Err(forbidden("there is no such account"));
    }
    let (id, lang) = (inner.head.id.clone(), inner.head.lang.clone());
    let from: Jid = user.clone().into();
    let to = inner.head.to.clone().unwrap_or_else(|| from.clone());
    let begun = server.request(from, to, inner.kind, inner.content);
    let (mut request, answer) =
        begun.map_err(|_| Condition::ResourceConstraint.text("too many requests wait"))?;
    request.head_mut().lang = lang;
    let outer = Iq { content: Content::default(), ..outer.clone() };
    let (server, wait) = (std::sync::Arc::clone(server), wait(answer));
    let work = async move {
        let answer = match wait.await {
            Ok(mut inner) => {
                inner.head.id = id;
                Some(wrap(&outer, inner))
            }
            Err(error) => StanzaError::from(error).answer(&Stanza::Iq(outer)),
        };
        if let (Some(route), Some(answer)) = (server.route(), answer) {
            route.route(answer).await;
        }
    };
    let tasks = &router.server.tasks;
    drop(tasks.spawn("privileged-iq", tasks.stopping().run_until_cancelled_owned(work)));
    act_for::user(router, domain, host, user, request).await;
    Ok(())
}

/// The answer, also if it is an error.
async fn wait(answer: Answer) -> Result<Iq, Condition> {
    match answer.within(PATIENCE).await {
        Ok(iq) => Ok(iq),
        Err(RequestError::Refused(iq)) => Ok(*iq),
        Err(RequestError::SessionEnded) => Err(Condition::ServiceUnavailable),
        Err(RequestError::Timeout) => Err(Condition::RemoteServerTimeout),
        Err(RequestError::TooMany) => Err(Condition::ResourceConstraint),
    }
}

/// What the component is told: the answer as it came, and its error if it is one.
fn wrap(outer: &Iq, inner: Iq) -> Stanza {
    let error = inner.content.received_child(ns::CLIENT, "error");
    let error = error.and_then(|error| Frame::from_tree(&error.to_tree()).ok());
    let kind = inner.kind;
    let mut forwarded = Vec::new();
    write_forwarded(&mut forwarded, &Stanza::Iq(inner).to_bytes(), None);
    let mut answer = outer.result(Some(element("privilege").ns(NS).raw(forwarded)));
    if kind == IqKind::Error {
        answer.kind = IqKind::Error;
        if let Some(error) = error {
            answer.content.add_written(error.bytes().clone());
        }
    }
    Stanza::Iq(answer)
}

/// Whether the user has an account.
async fn exists(router: &Router, user: &BareJid) -> Result<bool, StanzaError> {
    match Internal::for_domain(router, user.domain()) {
        Some(mut work) => Ok(work.cx().has_account(user).await?),
        None => Ok(false),
    }
}

/// The stanza in another one, in `jabber:client`.
fn read(element: &ElementRef<'_>) -> Result<Stanza, StanzaError> {
    let frame = Frame::from_tree(&element.to_tree()).map_err(|_| Condition::BadRequest)?;
    Stanza::read(frame).map_err(|refusal| match refusal {
        Refusal::NotAStanza => Condition::BadRequest.into(),
        Refusal::Faulty(_, error) => error,
    })
}

fn forbidden(why: &'static str) -> StanzaError {
    Condition::Forbidden.text(why)
}

/// How long the answer to a request may take. The component is told then.
const PATIENCE: Duration = Duration::from_secs(60);
