//! Subscriptions that an owner approves: the form that asks, and its answer (XEP-0060 §8.6).

use super::place::Place;
use super::{bounces, recipients, subscription};
use crate::host::{Cx, Halt};
use crate::jid::{BareJid, Jid};
use crate::payload::data_form::{self, Field, FieldKind, Form, FormKind, Submitted};
use crate::pubsub::error::Problem;
use crate::stanza::{Condition, Content, Message, MessageKind, Stanza};
use crate::storage::{NodeSubscription, PubSubNode};
use crate::xml::Node;

/// Asks the owners of a node.
pub(super) fn ask(
    cx: &mut Cx<'_>,
    place: &Place,
    node: &PubSubNode,
    subscription: &NodeSubscription,
) {
    let mut content = Content::default();
    content.add(&form(&node.name, subscription));
    for owner in place.owners(node) {
        let mut message = recipients::message(place, MessageKind::Normal, content.clone());
        message.head.to = Some(owner.into_jid());
        // It waits for an owner who is offline, and only what can be read is stored.
        cx.outbox.send(Stanza::Message(message).reread());
    }
}

/// Asks one owner, behind the answer to the request that is handled.
pub(super) fn ask_one(
    cx: &mut Cx<'_>,
    place: &Place,
    to: &Jid,
    node: &str,
    subscription: &NodeSubscription,
) {
    let content = Content::from(form(node, subscription));
    let mut message = recipients::message(place, MessageKind::Normal, content);
    message.head.to = Some(to.clone());
    cx.outbox.send_behind(Stanza::Message(message));
}

fn form(node: &str, subscription: &NodeSubscription) -> Node {
    let text = |var: &str, kind, value: &str| Field::new(var, kind).value(value);
    let form = Form::new(FormKind::Form)
        .form_type(AUTHORIZATION)
        .title("A request for a subscription")
        .field(text(SUBID, FieldKind::Hidden, &subscription.subid))
        .field(text(NODE, FieldKind::TextSingle, node).label("Node"))
        .field(
            text(SUBSCRIBER, FieldKind::JidSingle, subscription.jid.as_str()).label("Subscriber"),
        )
        .field(text(ALLOW, FieldKind::Boolean, "false").label("Allow the subscription"));
    form.to_node()
}

/// Reads a message of a user to the own account. If it is the answer to a request for a subscription to a node of the
/// account, carries out the decision, and returns `true`: the message goes no further then.
///
/// # Errors
/// If the answer is malformed, or the store fails.
pub async fn decides(cx: &mut Cx<'_>, user: &BareJid, message: &Message) -> Result<bool, Halt> {
    if message.head.to.as_ref().is_none_or(|to| to.as_str() != user.as_str()) {
        return Ok(false);
    }
    let Some(x) = message.content.received_child(data_form::NS, "x") else { return Ok(false) };
    let form = Submitted::read_as(&x, &[FormKind::Submit, FormKind::Cancel]);
    if !form.is_ok_and(|form| form.form_type() == Some(AUTHORIZATION)) {
        return Ok(false);
    }
    // It is rare: most messages should not need room for it.
    Box::pin(answered(cx, &Place::of(user.clone()), message)).await.map(|()| true)
}

/// A message to the service: the answer of an owner.
pub(super) async fn answered(
    cx: &mut Cx<'_>,
    place: &Place,
    message: &Message,
) -> Result<(), Halt> {
    let Some(from) = &message.head.from else { return Err(Halt::Drop("no sender")) };
    if message.kind == MessageKind::Error {
        bounces::end_subscription(cx, place, message).await;
        return Err(Halt::Drop("an error of an event"));
    }
    let x = message.content.received_child(data_form::NS, "x");
    let Some(x) = x else { return Err(Condition::ServiceUnavailable.into()) };
    let bad = || Halt::from(crate::stanza::StanzaError::from(Problem::Malformed));
    let form = Submitted::read_as(&x, &[FormKind::Submit, FormKind::Cancel]).map_err(|_| bad())?;
    if x.attr("type").as_deref() == Some(FormKind::Cancel.as_str()) {
        return Err(Halt::Drop("the owner has cancelled the form"));
    }
    if form.form_type() != Some(AUTHORIZATION) {
        return Err(bad());
    }
    let name = form.text(NODE).ok().flatten().ok_or_else(bad)?;
    let allow = form.boolean(ALLOW).map_err(|_| bad())?.ok_or_else(bad)?;
    let subscriber: Jid = form.jid(SUBSCRIBER).map_err(|_| bad())?.ok_or_else(bad)?;
    let subid = form.text(SUBID).map_err(|_| bad())?;
    let (node, config) = place.own_node(cx, from, name).await?;
    let is_named =
        |s: &&NodeSubscription| s.jid == subscriber && subid.is_none_or(|subid| subid == s.subid);
    let mut waiting = node.subscriptions.iter().filter(|one| one.is_pending);
    let Some(pending) = waiting.find(is_named) else {
        return Err(Halt::Drop("nobody waits for the answer: another owner may have given it"));
    };
    let state = allow.then_some(false);
    subscription::change(cx, place, (name, &config), pending.clone(), state).await?;
    Ok(())
}

/// The `FORM_TYPE` (§16.4.1).
pub(super) const AUTHORIZATION: &str = "http://jabber.org/protocol/pubsub#subscribe_authorization";
const SUBID: &str = "pubsub#subid";
pub(super) const NODE: &str = "pubsub#node";
const SUBSCRIBER: &str = "pubsub#subscriber_jid";
const ALLOW: &str = "pubsub#allow";
