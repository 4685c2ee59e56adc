//! What the download of all data of an account says of places beside the account: nodes of services, rooms, and push
//! services.

use serde_json::json;

use super::export::{Export, Next};
use crate::jid::BareJid;
use crate::pubsub::rights::affiliation_word;
use crate::storage::{self, Affiliation, PushDevice};

impl Export {
    /// The nodes of services that belong to the user.
    pub(super) async fn nodes_at_services(&self) -> storage::Result<Vec<(BareJid, String)>> {
        let mut nodes = Vec::new();
        for service in self.services() {
            let found = self.server.storage.pubsub().affiliations_of(&service, &self.user).await?;
            let owned = found.into_iter().filter(|(_, found)| *found == Affiliation::Owner);
            nodes.extend(owned.map(|(node, _)| (service.clone(), node)));
        }
        // They are taken from the end.
        nodes.reverse();
        Ok(nodes)
    }

    /// Affiliations and subscriptions of the user at the nodes of services (XEP-0060 §4.1, §4.2).
    pub(super) async fn node_relations(&mut self, out: &mut String) -> storage::Result<()> {
        for service in self.services() {
            let store = self.server.storage.pubsub();
            let affiliations = store.affiliations_of(&service, &self.user).await?;
            let subscriptions = store.subscriptions_of(&service, &self.user).await?;
            let service = service.as_str();
            for (node, affiliation) in affiliations {
                let word = affiliation_word(Some(affiliation));
                self.push(out, &json!({ "service": service, "node": node, "affiliation": word }));
            }
            for (node, subscription) in subscriptions {
                let word = if subscription.is_pending { "pending" } else { "subscribed" };
                let address = subscription.jid.as_str();
                let json = json!({
                    "service": service, "node": node, "subscription": word, "address": address,
                });
                self.push(out, &json);
            }
        }
        self.reopen(out, "rooms", Next::Rooms(None));
        Ok(())
    }

    /// A page of the rooms in which the user has an affiliation (XEP-0045 §5.2), with what they know of the user.
    pub(super) async fn rooms(
        &mut self,
        out: &mut String,
        after: Option<BareJid>,
    ) -> storage::Result<()> {
        let rooms = self.server.storage.rooms();
        let page = rooms.rooms_of(&self.user, after.as_ref(), ROOMS).await?;
        let last = page.last().map(|(room, _)| room.clone());
        for (room, member) in page {
            let json = json!({
                "room": room.as_str(), "affiliation": member.affiliation.as_str(), "nickname": member.nick,
                "reason": member.reason, "since": member.since.to_string(),
            });
            self.push(out, &json);
        }
        match last {
            Some(last) => self.next = Next::Rooms(Some(last)),
            None => self.reopen(out, "push_registrations", Next::Pushes),
        }
        Ok(())
    }

    /// Where notifications go (XEP-0357), without the secrets with which they are published.
    pub(super) async fn pushes(&mut self, out: &mut String) -> storage::Result<()> {
        for found in self.server.storage.push().registrations(&self.user).await? {
            let (PushDevice::Installation(device) | PushDevice::Resource(device)) = found.device;
            let json = json!({
                "service": found.service.as_str(), "node": found.node, "device": device,
                "registered": found.registered.to_string(),
            });
            self.push(out, &json);
        }
        self.reopen(out, "files", Next::Files);
        Ok(())
    }

    /// The services of this server: some have nodes.
    fn services(&self) -> Vec<BareJid> {
        self.server.services().iter().map(|service| service.jid.to_bare()).collect()
    }
}

/// Rooms of a page.
const ROOMS: usize = 200;
