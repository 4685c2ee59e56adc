//! Gives last items to sessions. They may be many: the clients are not given more than they read.

use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;

use super::last_items::{LastItems, Ready};
use super::place::Place;
use super::recipients;
use crate::host::{Cx, block_list};
use crate::jid::BareJid;
use crate::session::SessionRef;
use crate::stanza::{Stanza, StanzaError};

/// A session, and the nodes whose last items it wants.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) session: SessionRef,
    /// Sorted.
    pub(super) nodes: Arc<[SmolStr]>,
}

impl Wanted {
    fn has(&self, node: &str) -> bool {
        self.nodes.binary_search_by(|known| known.as_str().cmp(node)).is_ok()
    }
}

/// Sends the last items of these accounts to sessions of one user.
pub(super) async fn send(
    cx: &mut Cx<'_>,
    user: &BareJid,
    owners: Vec<BareJid>,
    wanted: Vec<Wanted>,
) -> Result<(), StanzaError> {
    if wanted.iter().all(|wanted| wanted.nodes.is_empty()) {
        return Ok(());
    }
    let mut queue: Vec<(SessionRef, Arc<Stanza>)> = Vec::new();
    for (owner, items) in LastItems::of(cx.server, owners).await? {
        let place = Place::of(owner);
        for item in &*items {
            if !wanted.iter().any(|wanted| wanted.has(&item.node))
                || !may_read(cx, &place, user, item).await?
            {
                continue;
            }
            let message = recipients::message(&place, item.kind, item.content.clone());
            let stanza = Arc::new(Stanza::Message(message));
            for wanted in wanted.iter().filter(|wanted| wanted.has(&item.node)) {
                queue.push((wanted.session.clone(), Arc::clone(&stanza)));
            }
        }
    }
    deliver(cx, queue);
    Ok(())
}

/// Whether the user may read the node of this item.
async fn may_read(
    cx: &Cx<'_>,
    place: &Place,
    user: &BareJid,
    item: &Ready,
) -> Result<bool, StanzaError> {
    if *user == place.owner {
        return Ok(true);
    }
    let jid = user.clone().into_jid();
    let blocked = block_list::of(cx.server, &place.owner).await?;
    if block_list::keeps_out(&blocked, &place.owner, &jid) {
        return Ok(false);
    }
    if item.is_for_contacts {
        return Ok(true);
    }
    let Some((node, config)) = place.nodes.find(cx.server, &item.node).await? else {
        return Ok(false);
    };
    Ok(place.entity(cx, &jid, &node, &config).await?.may_read(&config).is_ok())
}

/// Delivers a few at once. More are delivered by a task, at the pace at which the clients read.
fn deliver(cx: &Cx<'_>, queue: Vec<(SessionRef, Arc<Stanza>)>) {
    let most = cx.server.config.load().limits.inbox_stanzas / 4;
    let mut queue = queue.into_iter();
    for (session, stanza) in queue.by_ref().take(most / 2) {
        session.deliver_addressed(stanza).ok();
    }
    let rest: Vec<_> = queue.collect();
    if rest.is_empty() {
        return;
    }
    let work = async move {
        for (session, stanza) in rest {
            while session.queued() > most && !session.is_ending() {
                tokio::time::sleep(PAUSE).await;
            }
            session.deliver_addressed(stanza).ok();
        }
    };
    let stopping = cx.server.tasks.stopping();
    drop(cx.server.tasks.spawn("last-items", stopping.run_until_cancelled_owned(work)));
}

/// How long a client is waited for that has much to read.
const PAUSE: Duration = Duration::from_millis(100);
