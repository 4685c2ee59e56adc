//! Sends last items to clients that have told what they want to hear of (XEP-0163 §4.3.4), and to contacts
//! that may see the user from now on.

use async_trait::async_trait;

use super::last_item_delivery::{Wanted, send};
use crate::host::lifecycle::{Event, Listener};
use crate::host::{Cx, block_list, contact_list};
use crate::jid::BareJid;
use crate::stanza::StanzaError;

/// Sends last items to clients that have told what they want to hear of.
pub(super) struct Sender;

#[async_trait]
impl Listener for Sender {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        match event {
            Event::InterestsChanged { session, before } => {
                let Some(interests) = session.interests() else { return Ok(()) };
                let is_new = |node: &&smol_str::SmolStr| !before.has(node);
                let nodes: Vec<_> = interests.nodes().iter().filter(is_new).cloned().collect();
                let user = session.jid().to_bare();
                let owners = visible(cx, &user).await?;
                let wanted = Wanted { session: (*session).clone(), nodes: nodes.into() };
                send(cx, &user, owners, vec![wanted]).await
            }
            Event::SubscriptionOpened { user, contact } => {
                let sessions = cx.server.sessions.of(contact).into_iter();
                let wanted = sessions.filter_map(|session| {
                    let interests = session.interests()?;
                    Some(Wanted { session, nodes: interests.nodes().into() })
                });
                send(cx, contact, vec![(*user).clone()], wanted.collect()).await
            }
            _ => Ok(()),
        }
    }
}

/// The accounts here whose data a user may see: the user's own, and those of contacts that show their
/// presence.
async fn visible(cx: &Cx<'_>, user: &BareJid) -> Result<Vec<BareJid>, StanzaError> {
    let contacts = contact_list::of(cx.server, user).await?;
    let blocked = block_list::of(cx.server, user).await?;
    let mut owners = vec![user.clone()];
    for item in contacts.iter().filter(|item| item.subscription.is_to()) {
        let is_here = item.jid.local().is_some() && cx.server.host(item.jid.domain()).is_some();
        if is_here && !block_list::hits(&blocked, &item.jid) {
            owners.push(item.jid.to_bare());
        }
    }
    Ok(owners)
}
