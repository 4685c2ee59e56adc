//! Where the data are: an item of XEP-0080 in a node of the server's address (XEP-0504 §3.7). The node can only be read, and
//! has one item, since all data of this server are at one place.

use async_trait::async_trait;

use crate::config::DataPolicyConfig;
use crate::host::{Cx, IqHandler, IqReply};
use crate::ns;
use crate::stanza::{Condition, Iq};
use crate::xml::{ElementRef, Node, element};

/// The namespace of locations, which is the name of the node (XEP-0080 §3).
const GEOLOC: &str = "http://jabber.org/protocol/geoloc";
/// The id of the only item.
const ITEM: &str = "data";

/// Answers requests for the items of the node.
pub(super) struct Location;

#[async_trait]
impl IqHandler for Location {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let pubsub = request.payload().ok_or(Condition::BadRequest)?;
        // A host without the node has no nodes at all.
        let location = location(&cx.server.config.load().data_policy);
        let location = location.ok_or(Condition::ServiceUnavailable)?;
        let items = pubsub.child(ns::PUBSUB, "items").ok_or(Condition::FeatureNotImplemented)?;
        if items.attr("node").is_none_or(|node| node != GEOLOC) {
            return Err(Condition::ItemNotFound.into());
        }
        let answer = element("items").attr("node", GEOLOC);
        let answer = match is_asked_for(&items) {
            true => answer.child(element("item").attr("id", ITEM).child(location)),
            false => answer,
        };
        Ok(Some(element("pubsub").ns(ns::PUBSUB).child(answer)))
    }
}

/// Whether a request is for all items, or names the only one.
fn is_asked_for(items: &ElementRef<'_>) -> bool {
    let named: Vec<_> = items.children().filter(|child| child.is(ns::PUBSUB, "item")).collect();
    named.is_empty() || named.iter().any(|item| item.attr("id").is_some_and(|id| id == ITEM))
}

/// What the configuration says (XEP-0080 §3.1); `None` if it says nothing.
fn location(policy: &DataPolicyConfig) -> Option<Node> {
    let told = [
        ("country", &policy.country),
        ("region", &policy.region),
        ("locality", &policy.locality),
        ("description", &policy.location),
    ];
    let told = told.into_iter().filter_map(|(name, text)| Some(element(name).text(text.as_ref()?)));
    let fields: Vec<_> = told.collect();
    let geoloc = element("geoloc").ns(GEOLOC);
    (!fields.is_empty()).then(|| fields.into_iter().fold(geoloc, Node::child))
}
