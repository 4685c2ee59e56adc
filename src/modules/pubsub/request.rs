//! A request: reads what it wants, and finds what answers it.

use async_trait::async_trait;

use super::place::Place;
use super::{
    affiliations, configure, create, items, options, owner_subscriptions, publish, retract,
    subscribe,
};
use crate::host::{Cx, IqHandler, IqReply};
use crate::jid::Jid;
use crate::ns;
use crate::payload::data_form::{FormKind, Submitted};
use crate::pubsub::error::Problem;
use crate::stanza::{Condition, Iq, IqKind, StanzaError};
use crate::xml::ElementRef;

/// Answers requests to accounts.
pub(super) struct OfAccount;

#[async_trait]
impl IqHandler for OfAccount {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let to = request.head.to.as_ref().ok_or(Condition::BadRequest)?;
        answer(cx, &Place::of(to.to_bare()), request).await
    }
}

/// A request to a place.
pub(super) struct Request<'a> {
    pub(super) from: &'a Jid,
    /// The `<pubsub/>` element.
    pub(super) pubsub: ElementRef<'a>,
    /// The element in it that says what is wanted.
    pub(super) action: ElementRef<'a>,
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
        (false, IqKind::Get, "default") => Ok(Some(options::default(&request))),
        (false, IqKind::Get, "subscriptions") => subscribe::list(cx, place, &request).await,
        (false, IqKind::Get, "affiliations") => affiliations::own(cx, place, &request).await,
        (true, IqKind::Get, "default") => Ok(Some(configure::default(place))),
        (true, IqKind::Get, "configure") => configure::get(cx, place, &request).await,
        (true, IqKind::Set, "configure") => configure::set(cx, place, &request).await,
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

impl Request<'_> {
    /// The name of the node.
    pub(super) fn node(&self) -> Result<String, StanzaError> {
        self.maybe_node()?.ok_or_else(|| Problem::NodeidRequired.into())
    }

    /// The name of the node, if one is named.
    pub(super) fn maybe_node(&self) -> Result<Option<String>, StanzaError> {
        match self.action.attr("node") {
            None => Ok(None),
            Some(name) if name.is_empty() => Ok(None),
            Some(name) if name.len() > MAX_NAME => Err(Problem::NotAcceptable.into()),
            Some(name) => Ok(Some(name.into_owned())),
        }
    }

    /// The form in a child of `<pubsub/>`, if there is one.
    pub(super) fn form(
        &self,
        child: &str,
        form_type: &str,
    ) -> Result<Option<Submitted>, StanzaError> {
        let Some(child) = self.pubsub.child(self.pubsub.ns(), child) else { return Ok(None) };
        let form = submitted(&child, form_type)?;
        Ok(form.map(|(form, _)| form))
    }
}

/// The form in an element, if there is one, and whether it is cancelled.
pub(super) fn submitted(
    parent: &ElementRef<'_>,
    form_type: &str,
) -> Result<Option<(Submitted, bool)>, StanzaError> {
    let Some(x) = parent.child(crate::payload::data_form::NS, "x") else { return Ok(None) };
    let is_cancelled = x.attr("type").as_deref() == Some(FormKind::Cancel.as_str());
    let form = Submitted::read_as(&x, &[FormKind::Submit, FormKind::Cancel])
        .map_err(|_| Problem::Malformed)?;
    if !is_cancelled && form.form_type().is_some_and(|kind| kind != form_type) {
        return Err(Problem::NotAcceptable.into());
    }
    Ok(Some((form, is_cancelled)))
}

/// Bytes of the name of a node or of an item, at most.
pub(super) const MAX_NAME: usize = 1023;
