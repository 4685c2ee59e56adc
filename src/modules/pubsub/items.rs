//! Reading items (XEP-0060 §6.5).

use super::place::Place;
use super::request::Request;
use crate::host::{Cx, IqReply};
use crate::ns;
use crate::payload::datetime::Timestamp;
use crate::payload::node_config::{MAX_ITEMS, NodeConfig};
use crate::payload::result_set::{SetAnswer, SetRequest, Start};
use crate::pubsub::error::Problem;
use crate::pubsub::event;
use crate::storage::{ItemPage, ItemQuery, PubSubNode, Which};
use crate::xml::element;

/// Answers with items: those that are named, or the newest, or a page (XEP-0059).
pub(super) async fn answer(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let max = match request.action.attr("max_items") {
        None => None,
        Some(max) => Some(max.parse::<usize>().map_err(|_| Problem::Malformed)?),
    };
    let set = SetRequest::in_query(&request.pubsub).map_err(|_| Problem::Malformed)?;
    let named = request.action.children().filter(|child| child.is(ns::PUBSUB, "item"));
    let mut ids: Vec<String> = Vec::new();
    for id in named.map(|item| item.attr("id").unwrap_or_default().into_owned()) {
        if !ids.contains(&id) {
            ids.push(id);
        }
        if ids.len() > MAX_NAMED {
            return Err(Problem::NotAcceptable.into());
        }
    }
    let (node, config) = place.node(cx, &name).await?;
    place.entity(cx.server, request.from, &node, &config).await?.may_read(&config)?;
    check_subid(&node, request)?;
    if config.is_collection() {
        // XEP-0248 §6.2.3: its children are found and read one by one.
        return Err(Problem::Unsupported("retrieve-items").into());
    }
    if !config.persist_items {
        return Err(Problem::NotPersistent.into());
    }
    let which = if ids.is_empty() { of_set(set.as_ref()) } else { Which::Ids(&ids) };
    let most = max.unwrap_or(MAX_ITEMS);
    let most = set.as_ref().map_or(most, |set| set.limit(most));
    let query = ItemQuery {
        which,
        max: most,
        max_bytes: MAX_BYTES,
        since: since(cx, &config),
        payloads: true,
    };
    let page = cx.server.storage.pubsub().items(&place.owner, &name, query).await?;
    let page = page.ok_or(Problem::NotFound)?;
    let items = page.items.iter().map(|item| event::item(item, true, &config));
    let items = element("items").attr("node", &name).children(items);
    let answer = element("pubsub").ns(ns::PUBSUB).child(items);
    let is_cut = (page.items.len() as u64) < page.count.min(most as u64);
    let tells_set = ids.is_empty() && (set.is_some() || is_cut);
    Ok(Some(if tells_set { answer.child(set_of(&page).to_node()) } else { answer }))
}

/// Whoever has several subscriptions says which one is meant, and none names one that is not there (§6.5.9.1, §6.5.9.2).
fn check_subid(node: &PubSubNode, request: &Request<'_>) -> Result<(), Problem> {
    let from = request.from;
    let own = || node.subscriptions.iter().filter(|one| one.jid.bare_str() == from.bare_str());
    if let Some(subid) = request.action.attr("subid").filter(|subid| !subid.is_empty()) {
        let is_known = own().any(|one| one.subid == *subid);
        return if is_known { Ok(()) } else { Err(Problem::InvalidSubid) };
    }
    let several = |jid: &str| own().filter(|one| one.jid.as_str() == jid).nth(1).is_some();
    match several(from.as_str()) || several(from.bare_str()) {
        true => Err(Problem::SubidRequired),
        false => Ok(()),
    }
}

/// Items that were published before this moment are too old.
pub(super) fn since(cx: &Cx<'_>, config: &NodeConfig) -> Option<Timestamp> {
    let age = i64::try_from(config.item_expire?).ok()?.checked_mul(1_000_000)?;
    Some(Timestamp::from_micros(cx.server.clock.now().as_micros().saturating_sub(age)))
}

/// The items on a page that was asked for (XEP-0059); if none was, the newest.
pub(super) fn of_set(set: Option<&SetRequest>) -> Which<'_> {
    match set.map(|set| &set.from) {
        None | Some(Start::Last) => Which::Before(None),
        Some(Start::First) => Which::After(None),
        Some(Start::After(id)) => Which::After(Some(id)),
        Some(Start::Before(id)) => Which::Before(Some(id)),
        Some(Start::Index(index)) => Which::From(*index as u64),
    }
}

/// What is told of a page.
pub(super) fn set_of(page: &ItemPage) -> SetAnswer {
    let ends = page.items.first().zip(page.items.last());
    let index = usize::try_from(page.index).ok();
    SetAnswer {
        page: ends.map(|(first, last)| (first.id.clone(), last.id.clone(), index)),
        count: usize::try_from(page.count).ok(),
    }
}

/// Items that one request names, at most.
const MAX_NAMED: usize = 500;
/// Bytes of payloads in one answer, at most: half of what waits for a session at most.
const MAX_BYTES: usize = 512 * 1024;
