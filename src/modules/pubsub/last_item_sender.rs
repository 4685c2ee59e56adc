//! Sends last items to clients that have announced their interests (XEP-0163 §4.3.4), and to contacts that may see the
//! user from now on.

use async_trait::async_trait;

use super::last_item_delivery::Deliveries;
use super::last_item_walk::Wish;
use crate::host::Cx;
use crate::host::lifecycle::{Event, Listener};
use crate::stanza::StanzaError;

/// Sends last items to clients that have announced their interests.
pub(super) struct Sender;

#[async_trait]
impl Listener for Sender {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        let deliveries = cx.server.shared::<Deliveries>();
        match event {
            Event::InterestsChanged { session, before } => {
                let Some(interests) = session.interests() else { return Ok(()) };
                let new = interests.nodes().iter().filter(|node| !before.has(node));
                let old = before.nodes().iter().filter(|node| !interests.has(node));
                let of_all = deliveries.changed(session, new, old, cx.server.clock.now());
                deliveries.give(cx, session, Wish { of_all, of: Vec::new() }).await?;
            }
            Event::SubscriptionOpened { user, contact } => {
                for session in cx.server.sessions.of(contact) {
                    deliveries.sees_more(&session);
                    if session.interests().is_some_and(|interests| !interests.nodes().is_empty()) {
                        let wish = Wish { of: vec![(*user).clone()], ..Wish::default() };
                        deliveries.give(cx, &session, wish).await?;
                    }
                }
            }
            Event::SessionUnavailable { session, .. } => deliveries.forget(session),
            _ => {}
        }
        Ok(())
    }
}
