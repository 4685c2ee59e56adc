//! Sends last items to clients of contacts on other servers that have become available (XEP-0163 §4.3.4).

use async_trait::async_trait;

use super::last_item_walk::Reader;
use super::last_items::LastItems;
use super::place::Place;
use super::recipients;
use crate::host::lifecycle::{Event, Listener};
use crate::host::{Cx, contact_list};
use crate::jid::{BareJid, Jid};
use crate::session::Interests;
use crate::stanza::StanzaError;

/// Sends last items to clients on other servers.
pub(super) struct ForRemotes;

#[async_trait]
impl Listener for ForRemotes {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        match event {
            Event::RemoteClientAvailable { user, client, interests } => {
                give(cx, user, client, interests).await
            }
            _ => Ok(()),
        }
    }
}

/// Sends a client the last items of the nodes of `owner` that it wants to hear of and may read.
async fn give(
    cx: &mut Cx<'_>,
    owner: &BareJid,
    client: &Jid,
    interests: &Interests,
) -> Result<(), StanzaError> {
    let user = client.to_bare();
    // Presence alone is not enough: the client must belong to a contact that sees the owner's presence.
    let contact = contact_list::find(cx.server, owner, &user.clone().into_jid()).await?;
    if !contact.is_some_and(|contact| contact.subscription.is_from()) {
        return Ok(());
    }
    let part = LastItems::of(cx.server, vec![owner.clone()]).await?;
    let mut reader = Reader::new(Place::of(owner.clone()), &user);
    let now = cx.server.clock.now();
    for item in part.found.iter().flat_map(|(_, items)| items.iter()) {
        if interests.has(&item.node)
            && !item.is_expired(now)
            && reader.may_read(cx.server, item).await?
            && let Some(content) = reader.content(cx.server, item).await?
        {
            recipients::send(cx, reader.place(), client.clone(), item.kind, content);
        }
    }
    Ok(())
}
