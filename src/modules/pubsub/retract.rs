//! Removing items (XEP-0060 §7.2).

use super::place::Place;
use super::request::{NAME, Request};
use crate::host::{Cx, IqReply};
use crate::ns;
use crate::pubsub::error::Problem;

/// Removes items. Those who are not owners remove what they have published.
pub(super) async fn answer(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let items = request.action.children().filter(|child| child.is(ns::PUBSUB, "item"));
    let ids: Vec<String> =
        items.map(|item| item.attr("id").unwrap_or_default().into_owned()).collect();
    if ids.is_empty() || ids.iter().any(String::is_empty) {
        return Err(Problem::ItemRequired.into());
    }
    if ids.len() > MAX_AT_ONCE {
        return Err(Problem::NotAcceptable.into());
    }
    let notify = matches!(request.action.attr("notify").as_deref(), Some("1" | "true"));
    let (node, config) = place.node(cx, &name).await?;
    let entity = place.entity(cx.server, request.from, &node, &config).await?;
    if !entity.may_publish(&config) {
        return Err(Problem::Forbidden.into());
    }
    if !config.persist_items {
        return Err(Problem::NotPersistent.into());
    }
    if !entity.is_owner() {
        let publishers = place.publishers(cx.server, &name, ids.iter()).await?;
        if publishers.iter().any(|publisher| publisher.bare_str() != request.from.bare_str()) {
            return Err(Problem::Forbidden.into());
        }
    }
    match place.nodes.retract(cx, &name, &ids, notify, NAME).await? {
        0 => Err(Problem::NotFound.into()),
        _ => Ok(None),
    }
}

/// Items in one request.
const MAX_AT_ONCE: usize = 100;
