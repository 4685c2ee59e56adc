//! Removing items (XEP-0060 §7.2).

use super::place::Place;
use super::request::{NAME, Request};
use crate::host::{Cx, IqReply};
use crate::jid::Jid;
use crate::ns;
use crate::pubsub::error::Problem;

/// Removes items. Those who are not owners remove what they have published.
pub(super) async fn answer(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let items = request.action.children().filter(|child| child.is(ns::PUBSUB, "item"));
    let mut ids: Vec<String> =
        items.map(|item| item.attr("id").unwrap_or_default().into_owned()).collect();
    ids.sort_unstable();
    ids.dedup();
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
    if config.is_collection() {
        return Err(Problem::Unsupported("delete-items").into());
    }
    if !config.persist_items {
        return Err(Problem::NotPersistent.into());
    }
    if !entity.is_owner() || ids.len() > 1 {
        let publishers = place.publishers(cx.server, &name, &ids, None).await?;
        let is_foreign = |publisher: &Jid| publisher.bare_str() != request.from.bare_str();
        if !entity.is_owner() && publishers.iter().any(is_foreign) {
            return Err(Problem::Forbidden.into());
        }
        // Of several items all are removed, or none (§12.11).
        if publishers.len() < ids.len() {
            return Err(Problem::NotFound.into());
        }
    }
    match place.nodes.retract(cx, &name, &ids, notify, NAME).await? {
        0 => Err(Problem::NotFound.into()),
        _ => Ok(None),
    }
}

/// Items in one request.
const MAX_AT_ONCE: usize = 100;
