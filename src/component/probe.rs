//! Presence when a component connects and disconnects. When it connects, the contacts at it are asked for their presence
//! (RFC 6121 §4.3). When it has disconnected, they are unavailable.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::host::Origin;
use crate::host::components::Components;
use crate::jid::Jid;
use crate::router::{self, Router};
use crate::stanza::{Presence, PresenceKind, Stanza};

/// Sends the probes.
pub(super) async fn contacts(router: Arc<Router>, domain: SmolStr) {
    router.probe_contacts(|jid| is_at(&router, jid, &domain)).await;
}

/// Tells users who are online that their contacts at the component are unavailable: it cannot say so itself.
pub(super) async fn gone(router: Arc<Router>, domain: SmolStr) {
    for (user, contact) in router.seen_contacts(|jid| is_at(&router, jid, &domain)).await {
        let server = &router.server;
        let is_back = server.shared::<Components>().is_connected(&domain);
        if is_back || server.tasks.stopping().is_cancelled() {
            return;
        }
        let origin = Origin::Component(domain.clone());
        let presence = Presence::bare(PresenceKind::Unavailable, contact, user);
        let sent = router.from_domain(&origin, Stanza::Presence(presence)).await;
        match sent {
            Ok(receipts) => router::settle(receipts).await,
            Err(condition) => {
                tracing::debug!(condition = condition.as_str(), "a contact does not go");
            }
        }
    }
}

/// Whether the address is at this component.
fn is_at(router: &Router, jid: &Jid, domain: &str) -> bool {
    let config = router.server.config.load();
    config.component(jid.domain()).is_some_and(|component| component.domain == domain)
}
