//! The options of a subscription (XEP-0060 §6.3), and their defaults (§6.4).

use super::place::Place;
use super::request::{Request, submitted};
use super::{subscribe, subscription};
use crate::host::{Cx, IqReply};
use crate::ns;
use crate::payload::data_form::FormKind;
use crate::pubsub::error::Problem;
use crate::pubsub::options::{Options, SUBSCRIBE_OPTIONS};
use crate::storage::NodeSubscription;
use crate::xml::{Node, element};

/// The options of a subscription.
pub(super) async fn get(cx: &Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let (_, subscription) = subscribe::own(cx, place, request, &name).await?;
    let form = Options::from_text(&subscription.options).to_form(FormKind::Form).to_node();
    let options = element("options")
        .attr("node", &name)
        .attr("jid", subscription.jid.as_str())
        .attr("subid", &subscription.subid)
        .child(form);
    Ok(Some(element("pubsub").ns(ns::PUBSUB).child(options)))
}

/// Sets the options.
pub(super) async fn set(cx: &Cx<'_>, place: &Place, request: &Request<'_>) -> IqReply {
    let name = request.node()?;
    let (_, subscription) = subscribe::own(cx, place, request, &name).await?;
    let form =
        submitted(&request.action, SUBSCRIBE_OPTIONS).map_err(|_| Problem::InvalidOptions)?;
    let (form, is_cancelled) = form.ok_or(Problem::InvalidOptions)?;
    if !is_cancelled {
        let mut options = Options::from_text(&subscription.options);
        options.apply(&form)?;
        let changed = NodeSubscription { options: options.to_text(), ..subscription };
        subscription::store(cx, place, &name, &changed).await?;
    }
    Ok(None)
}

/// The options of new subscriptions.
pub(super) fn default(request: &Request<'_>) -> Node {
    let form = Options::default().to_form(FormKind::Form).to_node();
    let node = request.action.attr("node");
    let default = element("default").maybe_attr("node", node).child(form);
    element("pubsub").ns(ns::PUBSUB).child(default)
}
