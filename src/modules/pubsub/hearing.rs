//! Who hears of the events of a node, and how.

use super::place::Place;
use crate::host::{Cx, block_list};
use crate::jid::Jid;
use crate::ns;
use crate::payload::node_config::{NodeConfig, NotificationType};
use crate::pubsub::options::Options;
use crate::session::SessionRef;
use crate::stanza::{MessageKind, StanzaError};
use crate::storage::PubSubNode;

/// Whether a subscriber may still read the node, and neither side has blocked the other (XEP-0191 §3.3).
pub(super) async fn may_hear(
    cx: &Cx<'_>,
    place: &Place,
    subscriber: &Jid,
    node: &PubSubNode,
    config: &NodeConfig,
) -> Result<bool, StanzaError> {
    let entity = place.entity(cx.server, subscriber, node, config).await?;
    Ok(entity.may_read(config).is_ok() && !is_blocked(cx, place, subscriber).await?)
}

/// Whether an account and a subscriber are blocked from each other (XEP-0191 §3.3).
pub(super) async fn is_blocked(
    cx: &Cx<'_>,
    place: &Place,
    subscriber: &Jid,
) -> Result<bool, StanzaError> {
    if !place.is_account() || place.is_of(subscriber) {
        return Ok(false);
    }
    let blocked = block_list::of(cx.server, &place.owner).await?;
    if block_list::keeps_out(&blocked, &place.owner, subscriber) {
        return Ok(true);
    }
    let user = subscriber.to_bare();
    if cx.server.host(user.domain()).is_none() {
        return Ok(false);
    }
    let blocked = block_list::of(cx.server, &user).await?;
    Ok(block_list::keeps_out(&blocked, &user, &place.owner.clone().into_jid()))
}

/// The type of the message.
pub(super) fn kind(config: &NodeConfig) -> MessageKind {
    match config.notification_type {
        NotificationType::Headline => MessageKind::Headline,
        NotificationType::Normal => MessageKind::Normal,
    }
}

/// Whether a subscriber shows a presence that it wants events for (§6.3). Users of other servers do, as long as theirs is not
/// known.
pub(super) fn is_shown(cx: &Cx<'_>, to: &Jid, options: &Options) -> bool {
    if options.show_values.is_empty() || cx.server.host(to.domain()).is_none() {
        return true;
    }
    let sessions = cx.server.sessions.available(&to.to_bare());
    let is_meant = |one: &&SessionRef| to.is_bare() || one.jid().as_str() == to.as_str();
    sessions.iter().filter(is_meant).any(|one| shows(one, options))
}

/// Whether the presence of a session is one of those that a subscriber wants (§6.3).
pub(super) fn shows(session: &SessionRef, options: &Options) -> bool {
    let kept = session.available();
    let Some(presence) = kept.and_then(|kept| kept.unpacked()) else { return false };
    let show = presence.content.received_child(ns::CLIENT, "show");
    let show = show.map_or_else(|| "online".to_owned(), |show| show.text().trim().to_owned());
    options.show_values.is_empty() || options.show_values.contains(&show)
}
