//! Publishing items (XEP-0060 §7.1).

use bytes::Bytes;

use super::place::Place;
use super::request::{MAX_NAME, NAME, Request};
use crate::host::{Cx, IqReply, PUBLISH_ATTEMPTS, TargetNode};
use crate::jid::Jid;
use crate::ns;
use crate::payload::node_config::{ConfigError, NodeConfig, NodeFull};
use crate::pubsub::error::Problem;
use crate::random::random_id;
use crate::stanza::{Condition, StanzaError};
use crate::storage::{self, ItemQuery, PubSubItem, Which};
use crate::xml::{ElementRef, element, standalone};

/// Publishes. While the sender's rights are checked, others may make or remove the node: then they are checked
/// again.
pub(super) async fn answer(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    for _ in 0..PUBLISH_ATTEMPTS {
        let target = target(cx, place, request, &name).await?;
        let items = read(cx, request, &target.config)?;
        check_older(cx, place, request.from, &target, &items).await?;
        let published = items.iter().map(|item| element("item").attr("id", &item.id));
        let answer = element("publish").attr("node", &name).children(published);
        if place.nodes.publish_at(cx, target, items, NAME).await? {
            return Ok(Some(element("pubsub").ns(ns::PUBSUB).child(answer)));
        }
    }
    Err(Condition::ResourceConstraint.into())
}

/// The node, if the sender may publish there, and it has the configuration that is wanted.
async fn target(
    cx: &Cx<'_>,
    place: &Place,
    request: &Request<'_>,
    name: &str,
) -> Result<TargetNode, StanzaError> {
    let options = request.form("publish-options", ns::PUBLISH_OPTIONS)?;
    match place.nodes.find(cx.server, name).await? {
        Some((node, config)) => {
            let entity = place.entity(cx.server, request.from, &node, &config).await?;
            if !entity.may_publish(&config) {
                return Err(Problem::Forbidden.into());
            }
            if let Some(options) = options {
                // What no node can have, this one has not (§7.1.5).
                let wanted = config.with_options(&options);
                if !wanted.is_ok_and(|wanted| config.meets(&wanted)) {
                    return Err(Problem::PreconditionNotMet.into());
                }
            }
            Ok(TargetNode { node, config, is_new: false })
        }
        None => {
            super::create::may_create(cx, place, request.from).await?;
            let default = place.default_config_of(name);
            let config = match options {
                Some(options) => default.with_options(&options).map_err(option_problem)?,
                None => default,
            };
            Ok(super::create::new_node(cx, place, request.from, name, &config))
        }
    }
}

/// Options that are unknown or invalid (§7.1.5).
fn option_problem(error: ConfigError) -> Problem {
    match error {
        ConfigError::Unknown => Problem::PreconditionNotMet,
        other => other.into(),
    }
}

/// The items of a request, as the node wants them (§7.1.3.5, §7.1.3.6).
fn read(
    cx: &Cx<'_>,
    request: &Request<'_>,
    config: &NodeConfig,
) -> Result<Vec<PubSubItem>, StanzaError> {
    let elements: Vec<_> =
        request.action.children().filter(|child| child.is(ns::PUBSUB, "item")).collect();
    if config.is_collection() {
        return Err(Problem::Unsupported("publish").into());
    }
    let only_notifies = !config.persist_items && !config.deliver_payloads;
    if only_notifies && !elements.is_empty() {
        return Err(Problem::ItemForbidden.into());
    }
    if elements.is_empty() && !only_notifies {
        return Err(Problem::ItemRequired.into());
    }
    if elements.len() > config.keep().clamp(1, MAX_AT_ONCE) {
        return Err(Problem::TooManyItems.into());
    }
    let (published, publisher) = (cx.server.clock.now(), Jid::from(request.from.to_bare()));
    let mut items: Vec<PubSubItem> = Vec::with_capacity(elements.len());
    for element in elements {
        let id = element.attr("id").filter(|id| !id.is_empty());
        let id = id.map_or_else(|| random_id().to_string(), std::borrow::Cow::into_owned);
        if id.len() > MAX_NAME || items.iter().any(|item| item.id == id) {
            return Err(Problem::NotAcceptable.into());
        }
        let payload = payload(&element, config)?;
        items.push(PubSubItem { id, publisher: publisher.clone(), published, payload });
    }
    Ok(items)
}

fn payload(item: &ElementRef<'_>, config: &NodeConfig) -> Result<Bytes, Problem> {
    if item.children().next().is_none() {
        return match config.deliver_payloads {
            true => Err(Problem::PayloadRequired),
            false => Ok(Bytes::new()),
        };
    }
    let is_one = item.children().nth(1).is_none();
    if !is_one && !is_picture_of_space(config, item)
        || !item.children().all(|payload| is_typed(config, &payload))
    {
        return Err(Problem::InvalidPayload);
    }
    let mut bytes = Vec::new();
    for payload in item.children() {
        let one = standalone(&payload.to_tree()).map_err(|_| Problem::InvalidPayload)?;
        bytes.extend_from_slice(&one);
    }
    if bytes.len() > config.max_payload_size as usize {
        return Err(Problem::PayloadTooBig);
    }
    Ok(bytes.into())
}

/// Whether an item says where the pictures of a space are, each in several formats (XEP-0503 §5.2.1).
///
/// DEPARTS: XEP-0060 §7.1.3.6 – such an item may have several payloads: XEP-0503 has them.
fn is_picture_of_space(config: &NodeConfig, item: &ElementRef<'_>) -> bool {
    config.payload_type.starts_with(SPACES)
        && item.children().all(|payload| payload.is(ns::AVATAR_METADATA, "metadata"))
}

/// Whether a payload has the namespace of the node (§7.1.3.6). A type that says what a node is for, and not what its items are,
/// is not compared: a space contains bookmarks, and a feed entries of Atom (XEP-0503 §3, XEP-0472 §4).
fn is_typed(config: &NodeConfig, payload: &ElementRef<'_>) -> bool {
    let wanted = config.payload_type.as_str();
    wanted.is_empty()
        || payload.ns() == wanted
        || PURPOSES.iter().any(|purpose| wanted.starts_with(purpose))
}

/// How the types begin that say what a node is for (XEP-0503, XEP-0472, XEP-0501, XEP-0508, XEP-0473).
const PURPOSES: [&str; 5] = [
    SPACES,
    "urn:xmpp:microblog:",
    "urn:xmpp:pubsub-social-feed:",
    "urn:xmpp:forums:",
    "urn:xmpp:openpgp:pubsub:",
];

/// How the types of spaces begin.
const SPACES: &str = "urn:xmpp:spaces:";

/// Refuses an item for a full node (§7.1.3.4), and one with the id of another publisher's item, which only owners may
/// replace.
async fn check_older(
    cx: &Cx<'_>,
    place: &Place,
    from: &Jid,
    target: &TargetNode,
    items: &[PubSubItem],
) -> Result<(), StanzaError> {
    let TargetNode { node, config, .. } = target;
    let entity = place.entity(cx.server, from, node, config).await?;
    // Without those that have expired.
    let there = match config.publish_node_full == NodeFull::Reject && config.item_expire.is_some() {
        true => count(cx, place, target).await?,
        false => node.items,
    } as usize;
    let is_full =
        config.publish_node_full == NodeFull::Reject && there + items.len() > config.keep();
    if !config.persist_items || node.items == 0 || (entity.is_owner() && !is_full) {
        return Ok(());
    }
    let ids: Vec<_> = items.iter().map(|item| item.id.clone()).collect();
    let old =
        place.publishers(cx.server, &node.name, &ids, super::items::since(cx, config)).await?;
    let is_foreign = |publisher: &Jid| publisher.bare_str() != from.bare_str();
    if !entity.is_owner() && old.iter().any(is_foreign) {
        return Err(Problem::Forbidden.into());
    }
    if is_full && there + items.len() - old.len() > config.keep() {
        return Err(Problem::NodeFull.into());
    }
    Ok(())
}

/// How many items a node has that have not expired.
async fn count(cx: &Cx<'_>, place: &Place, target: &TargetNode) -> storage::Result<u64> {
    let since = super::items::since(cx, &target.config);
    let which = Which::Before(None);
    let query = ItemQuery { which, max: 0, max_bytes: 0, since, payloads: false };
    let store = cx.server.storage.pubsub();
    let page = store.items(&place.owner, &target.node.name, query).await?;
    Ok(page.unwrap_or_default().count)
}

/// Items in one request.
const MAX_AT_ONCE: usize = 100;
