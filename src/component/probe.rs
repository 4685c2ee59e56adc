//! A component has come back: its users are asked for their presence again (RFC 6121 §4.3), for all of ours who are
//! online and see it.

use std::collections::HashSet;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::host::{Route as _, contact_list};
use crate::jid::BareJid;
use crate::router::Router;
use crate::stanza::{Presence, PresenceKind, Stanza};

/// Sends the probes.
pub(super) async fn contacts(router: Arc<Router>, domain: SmolStr) {
    let server = &router.server;
    let sessions = server.sessions.all();
    let online = sessions.iter().filter(|session| session.available().is_some());
    let users: HashSet<BareJid> = online.map(|session| session.jid().to_bare()).collect();
    drop(sessions);
    for user in users {
        if server.tasks.stopping().is_cancelled() {
            return;
        }
        let contacts = match contact_list::of(server, &user).await {
            Ok(contacts) => contacts,
            Err(error) => {
                tracing::warn!(%error, "cannot read a roster to probe contacts at a component");
                return;
            }
        };
        let config = server.config.load_full();
        let is_there = |jid: &crate::jid::Jid| {
            config.component(jid.domain()).is_some_and(|component| component.domain == domain)
        };
        for contact in contacts.iter().filter(|contact| contact.subscription.is_to()) {
            if is_there(&contact.jid) {
                let probe = Presence::bare(PresenceKind::Probe, user.clone(), contact.jid.clone());
                router.route(Stanza::Presence(probe)).await;
            }
        }
    }
}
