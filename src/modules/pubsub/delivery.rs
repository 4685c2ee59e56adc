//! Sends an event to an address that has subscribed: once, however many subscriptions it has, with headers that tell
//! which of them, and which collections, the event comes from (XEP-0060 §6.1.6, §12.16, XEP-0248 §5.3.1).

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::place::Place;
use super::sources::Source;
use super::{hearing, presences, recipients};
use crate::host::{Cx, stanza_log};
use crate::jid::{FullJid, Jid};
use crate::payload::node_config::NodeConfig;
use crate::pubsub::headers;
use crate::pubsub::options::{EventsOf, Options};
use crate::stanza::{Content, Stanza, StanzaError};
use crate::storage::{NodeSubscription, PubSubNode};

/// An event that is sent.
pub(super) struct Outgoing<'a> {
    /// The node that it is about.
    node: &'a PubSubNode,
    config: &'a NodeConfig,
    pub(super) content: Content,
    /// The event for those who hear of it without headers.
    pub(super) stanza: Arc<Stanza>,
    what: EventsOf,
    /// It is one of those that name subscriptions (XEP-0060 §12.16).
    pub(super) names_subscriptions: bool,
    /// The node is gone: those who wait for an owner are told, too, since they would wait for ever (XEP-0060 §8.4.2).
    pub(super) is_end: bool,
}

/// A subscription by which an address hears of the event.
struct Via<'a> {
    /// The name of the collection; `None`: it is a subscription to the node itself.
    collection: Option<&'a str>,
    subid: &'a str,
    options: Options,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(
        place: &Place,
        (node, config): (&'a PubSubNode, &'a NodeConfig),
        content: Content,
        what: EventsOf,
    ) -> Self {
        let message = recipients::message(place, hearing::kind(config), content.clone());
        let stanza = Arc::new(Stanza::Message(message));
        Self { node, config, content, stanza, what, names_subscriptions: false, is_end: false }
    }

    /// Sends it to the subscribers of these nodes, who may hear of it: each address once. Single clients come first:
    /// then the user is not told again. `told`: sessions that have had it.
    pub(super) async fn tell(
        &self,
        cx: &mut Cx<'_>,
        place: &Place,
        sources: &[Source<'_>],
        told: &mut FxHashSet<FullJid>,
    ) -> Result<(), StanzaError> {
        let mut all: Vec<Entry<'_>> = Vec::new();
        for source in sources {
            all.extend(source.node.subscriptions.iter().map(|one| (one, source)));
        }
        all.sort_by(|a, b| order(a).cmp(&order(b)));
        for group in all.chunk_by(|(a, _), (b, _)| a.jid == b.jid) {
            let mut vias = Vec::new();
            for (one, source) in group {
                let options = Options::from_text(&one.options);
                if options.reach(self.what, source.distance)
                    && self.may_hear(cx, place, one, source).await?
                {
                    vias.push(Via { collection: source.header(), subid: &one.subid, options });
                }
            }
            if let Some((one, _)) = group.first().filter(|_| !vias.is_empty()) {
                self.send(cx, place, &one.jid, &vias, told);
            }
        }
        Ok(())
    }

    /// Whether a subscriber may hear of it. Since it has subscribed, the access model, an affiliation, a roster or a
    /// block list may have changed.
    async fn may_hear(
        &self,
        cx: &Cx<'_>,
        place: &Place,
        one: &NodeSubscription,
        source: &Source<'_>,
    ) -> Result<bool, StanzaError> {
        match one.is_pending {
            false => source.may_hear(cx, place, &one.jid, (self.node, self.config)).await,
            true if self.is_end && source.distance == 0 => {
                Ok(!hearing::is_blocked(cx, place, &one.jid).await?)
            }
            true => Ok(false),
        }
    }

    /// Sends it to an address, as the options of its subscriptions, of which there is one at least, and the node say.
    /// `told`: sessions that have had it.
    fn send(
        &self,
        cx: &mut Cx<'_>,
        place: &Place,
        to: &Jid,
        vias: &[Via<'_>],
        told: &mut FxHashSet<FullJid>,
    ) {
        let is_multiple = vias.len() > 1;
        let mut wanted: Vec<_> = vias.iter().filter(|via| via.options.deliver).collect();
        wanted.retain(|via| presences::is_there(cx, place, to, self.config, &via.options));
        let is_conditional = |via: &Via<'_>| !via.options.show_values.is_empty();
        if wanted.is_empty() {
            return;
        }
        if place.is_account() && to.is_bare() && !wanted.iter().any(|via| is_conditional(via)) {
            // XEP-0163 §4.3.2: the clients that are interested were told, and no other one is.
            let user = to.to_bare();
            if told.iter().any(|session| session.to_bare() == user) {
                return;
            }
        }
        let is_local = cx.server.host(to.domain()).is_some();
        let by_presence = |via: &Via<'_>| {
            is_local && (self.config.presence_based_delivery || is_conditional(via))
        };
        if wanted.iter().all(|via| by_presence(via)) {
            for session in cx.server.sessions.available(&to.to_bare()) {
                let is_meant = to.is_bare() || session.jid().as_str() == to.as_str();
                let mut by = wanted.clone();
                by.retain(|via| is_meant && hearing::shows(&session, &via.options));
                if !by.is_empty() && told.insert(session.jid().clone()) {
                    let stanza = self.stanza_for(place, &by, is_multiple);
                    stanza_log::give(&session, &stanza).ok();
                }
            }
            return;
        }
        if to.to_full().is_some_and(|full| !told.insert(full)) {
            return;
        }
        let mut sessions = cx.server.sessions.available(&to.to_bare());
        sessions.retain(|session| to.is_bare() || session.jid().as_str() == to.as_str());
        let is_shown = |via: &&Via<'_>| {
            !by_presence(via) || sessions.iter().any(|one| hearing::shows(one, &via.options))
        };
        let by: Vec<_> = wanted.into_iter().filter(is_shown).collect();
        let content = self.content_for(&by, is_multiple);
        recipients::send(cx, place, to.clone(), hearing::kind(self.config), content);
    }

    fn stanza_for(&self, place: &Place, by: &[&Via<'_>], is_multiple: bool) -> Arc<Stanza> {
        if !is_multiple && by.iter().all(|via| via.collection.is_none()) {
            return Arc::clone(&self.stanza);
        }
        let content = self.content_for(by, is_multiple);
        Arc::new(Stanza::Message(recipients::message(place, hearing::kind(self.config), content)))
    }

    /// The event with its headers, if it needs some: the collections, and the subscriptions of an address that has
    /// several.
    fn content_for(&self, by: &[&Via<'_>], is_multiple: bool) -> Content {
        let mut content = self.content.clone();
        let mut collections: Vec<&str> = by.iter().filter_map(|via| via.collection).collect();
        collections.dedup();
        let subids: Vec<&str> = match is_multiple && self.names_subscriptions {
            true => by.iter().map(|via| via.subid).collect(),
            false => Vec::new(),
        };
        if let Some(headers) = headers::headers(&collections, &subids) {
            content.add(&headers);
        }
        content
    }
}

/// A subscription to a node.
type Entry<'a> = (&'a NodeSubscription, &'a Source<'a>);

fn order<'a>((one, source): &Entry<'a>) -> (bool, &'a str, u32) {
    (one.jid.is_bare(), one.jid.as_str(), source.distance)
}
