//! Asks contacts for their presence again (RFC 6121 §4.3), when what is known of them may be out of date.

use std::collections::HashSet;

use super::route::Router;
use crate::host::{Route as _, contact_list};
use crate::jid::{BareJid, Jid};
use crate::stanza::{Presence, PresenceKind, Stanza};

impl Router {
    /// Asks the contacts for which `which` holds, for all of our users who are online and see them.
    pub async fn probe_contacts(&self, which: impl Fn(&Jid) -> bool + Send + Sync) {
        for (user, contact) in self.seen_contacts(which).await {
            if self.server.tasks.stopping().is_cancelled() {
                return;
            }
            let probe = Presence::bare(PresenceKind::Probe, user, contact);
            self.route(Stanza::Presence(probe)).await;
        }
    }

    /// Each user who is online, with each contact for which `which` holds and whose presence the user sees.
    pub async fn seen_contacts(
        &self,
        which: impl Fn(&Jid) -> bool + Send + Sync,
    ) -> Vec<(BareJid, Jid)> {
        let server = &self.server;
        let sessions = server.sessions.all();
        let online = sessions.iter().filter(|session| session.available().is_some());
        let users: HashSet<BareJid> = online.map(|session| session.jid().to_bare()).collect();
        drop(sessions);
        let mut found = Vec::new();
        for user in users {
            match contact_list::of(server, &user).await {
                Ok(contacts) => {
                    let seen = contacts.iter().filter(|contact| contact.subscription.is_to());
                    let seen = seen.filter(|contact| which(&contact.jid));
                    found.extend(seen.map(|contact| (user.clone(), contact.jid.clone())));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot read a roster to ask contacts");
                    return found;
                }
            }
        }
        found
    }
}
