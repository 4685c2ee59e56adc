//! The options of a subscription (XEP-0060 §6.3), and their defaults (§6.4).

use super::place::Place;
use super::request::{Request, submitted};
use super::{presences, subscribe, subscription};
use crate::host::{Cx, IqReply};
use crate::ns;
use crate::payload::data_form::FormKind;
use crate::pubsub::error::Problem;
use crate::pubsub::options::{Options, SUBSCRIBE_OPTIONS};
use crate::storage::NodeSubscription;
use crate::xml::element;

/// The options of a subscription.
pub(super) async fn get(cx: &Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let (node, config, subscription) = subscribe::own(cx, place, request).await?;
    let options = Options::from_text(&subscription.options);
    let form = options.to_form(FormKind::Form, config.is_collection()).to_node();
    let options = element("options")
        .attr("node", &node.name)
        .attr("jid", subscription.jid.as_str())
        .attr("subid", &subscription.subid)
        .child(form);
    Ok(Some(element("pubsub").ns(ns::PUBSUB).child(options)))
}

/// Sets the options.
pub(super) async fn set(cx: &mut Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let (node, config, subscription) = subscribe::own(cx, place, request).await?;
    let form =
        submitted(&request.action, SUBSCRIBE_OPTIONS).map_err(|_| Problem::InvalidOptions)?;
    let (form, is_cancelled) = form.ok_or(Problem::InvalidOptions)?;
    if !is_cancelled {
        let mut options = Options::from_text(&subscription.options);
        options.apply(&form)?;
        let changed = NodeSubscription { options: options.to_text(), ..subscription };
        subscription::store(cx, place, (&node.name, &config), &changed).await?;
        presences::ask(cx, place, &config, &changed);
    }
    Ok(None)
}

/// The options of new subscriptions: to a leaf, or to what the named node is, if the sender may read it.
pub(super) async fn default(cx: &Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.maybe_node()?;
    let mut of_collection = false;
    if let Some(name) = &name
        && let Some((node, config)) = place.nodes.find(cx.server, name).await?
    {
        let entity = place.entity(cx.server, request.from, &node, &config).await?;
        of_collection = config.is_collection() && entity.may_read(&config).is_ok();
    }
    let form = Options::default().to_form(FormKind::Form, of_collection).to_node();
    let default = element("default").maybe_attr("node", name.as_deref()).child(form);
    Ok(Some(element("pubsub").ns(ns::PUBSUB).child(default)))
}
