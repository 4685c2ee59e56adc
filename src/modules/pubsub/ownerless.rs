//! Nodes of the service that lose their last owner because an account is removed: nobody could change or delete them.
//! So they are removed together with the account.

use async_trait::async_trait;

use super::place::Place;
use super::request::NAME;
use super::service::PREFIX;
use crate::host::lifecycle::{Event, Listener};
use crate::host::{Cx, ServiceDomain};
use crate::jid::BareJid;
use crate::stanza::StanzaError;

/// Deletes nodes without an owner.
pub(super) struct Ownerless;

#[async_trait]
impl Listener for Ownerless {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        if !matches!(event, Event::AccountRemoved { .. }) {
            return Ok(());
        }
        // The account may have owned nodes of other hosts' services, too.
        let is_ours = |service: &&ServiceDomain| {
            service.domain.as_str() == format!("{PREFIX}.{}", service.host.domain)
        };
        let services = cx.server.services().iter().filter(is_ours);
        let owners: Vec<BareJid> = services.map(|service| service.jid.to_bare()).collect();
        for owner in owners {
            let place = Place::of(owner);
            loop {
                let names = cx.server.storage.pubsub().ownerless(&place.owner, AT_ONCE).await?;
                for name in &names {
                    place.nodes.delete(cx, name, None, NAME).await?;
                }
                if names.len() < AT_ONCE {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Nodes that are looked for at once.
const AT_ONCE: usize = 500;
