//! Finds what answers a request.

use async_trait::async_trait;

use super::place::Place;
use super::request::Request;
use super::{
    affiliations, collections, configure, create, items, options, owner_subscriptions, publish,
    retract, subscribe,
};
use crate::host::{Cx, IqHandler, IqReply};
use crate::jid::Jid;
use crate::ns;
use crate::pubsub::error::Problem;
use crate::stanza::{Condition, Iq, IqKind, StanzaError};

/// Answers requests to accounts.
pub(super) struct OfAccount;

#[async_trait]
impl IqHandler for OfAccount {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let to = request.head.to.as_ref().ok_or(Condition::BadRequest)?;
        answer(cx, &Place::of(to.to_bare()), request).await
    }
}

/// Answers a request.
pub(super) async fn answer(cx: &mut Cx<'_>, place: &Place, iq: &Iq) -> IqReply {
    let from = iq.head.from.as_ref().ok_or(Condition::BadRequest)?;
    let pubsub = iq.payload().ok_or(Condition::BadRequest)?;
    let namespace = pubsub.ns();
    let is_companion = |name: &str| {
        matches!(name, "configure" | "options" | "publish-options") && pubsub.ns() == ns::PUBSUB
    };
    let known = || pubsub.children().filter(|child| child.ns() == namespace);
    // `options` alone is a request, behind `subscribe` it belongs to that.
    let action = known()
        .find(|child| !is_companion(child.name()))
        .or_else(|| known().next())
        .ok_or_else(|| unknown(place, from, Problem::Malformed.into()))?;
    let request = Request { from, pubsub, action };
    let is_owner = namespace == ns::PUBSUB_OWNER;
    match (is_owner, iq.kind, action.name()) {
        (false, IqKind::Set, "publish") => publish::answer(cx, place, &request).await,
        (false, IqKind::Get, "items") => items::answer(cx, place, &request).await,
        (false, IqKind::Set, "retract") => retract::answer(cx, place, &request).await,
        (false, IqKind::Set, "create") => create::answer(cx, place, &request).await,
        (false, IqKind::Set, "subscribe") => subscribe::subscribe(cx, place, &request).await,
        (false, IqKind::Set, "unsubscribe") => subscribe::unsubscribe(cx, place, &request).await,
        (false, IqKind::Get, "options") => options::get(cx, place, &request).await,
        (false, IqKind::Set, "options") => options::set(cx, place, &request).await,
        (false, IqKind::Get, "default") => options::default(cx, place, &request).await,
        (false, IqKind::Get, "subscriptions") => subscribe::list(cx, place, &request).await,
        (false, IqKind::Get, "affiliations") => affiliations::own(cx, place, &request).await,
        (true, IqKind::Get, "default") => configure::default(place, &request),
        (true, IqKind::Get, "configure") => configure::get(cx, place, &request).await,
        (true, IqKind::Set, "configure") => configure::set(cx, place, &request).await,
        (true, IqKind::Set, "collection") => collections::link(cx, place, &request).await,
        (true, IqKind::Set, "delete") => configure::delete(cx, place, &request).await,
        (true, IqKind::Set, "purge") => configure::purge(cx, place, &request).await,
        (true, IqKind::Get, "affiliations") => affiliations::get(cx, place, &request).await,
        (true, IqKind::Set, "affiliations") => affiliations::set(cx, place, &request).await,
        (true, IqKind::Get, "subscriptions") => owner_subscriptions::get(cx, place, &request).await,
        (true, IqKind::Set, "subscriptions") => owner_subscriptions::set(cx, place, &request).await,
        _ => Err(unknown(place, from, Condition::FeatureNotImplemented.into())),
    }
}

/// The error for a request that nobody knows. To others than the user it is the one that they get if there is
/// no such account, or if they are blocked (RFC 6121 §8.5.1, XEP-0191 §3.3).
fn unknown(place: &Place, from: &Jid, error: StanzaError) -> StanzaError {
    let is_of_other = place.is_account() && !place.is_of(from);
    if is_of_other { Condition::ServiceUnavailable.into() } else { error }
}
