//! XEP-0114: Jabber Component Protocol, as users see it: components that are connected are among the items of the
//! server. XEP-0355, XEP-0356: components that answer for the server, and that see who is online. Their connections are in `src/component/`, what is sent to them in `src/host/components.rs`.

use async_trait::async_trait;

use crate::host::components::{Components as Table, is_of_host};
use crate::host::delegations::{self, NestedFeatures};
use crate::host::lifecycle::{Event, EventKind, Listener};
use crate::host::privileged_presence::{SeenPresence, session_changed};
use crate::host::stored_components::StoredComponents;
use crate::host::{AddressKind, Asked, Cx, Discovery, Manifest, Module, Registry, Status, Xep};
use crate::jid::Jid;
use crate::payload::disco::Item;
use crate::stanza::StanzaError;

/// Tells which components there are.
pub struct Components;

impl Module for Components {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "components",
            summary: "Lets other programs have domains here: gateways, bots, services",
            xeps: &[
                Xep { number: 114, version: "1.6", status: Status::Complete },
                Xep { number: 355, version: "0.5", status: Status::Partial },
                Xep { number: 356, version: "0.4.1", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.shared(Table::default()).shared(StoredComponents::default());
        on.shared(NestedFeatures::default()).shared(SeenPresence::default());
        on.discovery(AddressKind::Host, &Self);
        on.disco_feature(AddressKind::Host, delegations::NS);
        on.listener(EventKind::SessionAvailable, &Self);
        on.listener(EventKind::SessionUnavailable, &Self);
    }
}

/// Components that may see the presence of users are told when it begins and ends (XEP-0356 §7.1).
#[async_trait]
impl Listener for Components {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        if let Event::SessionAvailable { session, presence }
        | Event::SessionUnavailable { session, presence } = event
        {
            session_changed(cx.server, session.jid(), presence).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Discovery for Components {
    /// The components below a host are items of this host; all other components are items of all hosts.
    async fn items(&self, cx: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Vec<Item>>, StanzaError> {
        if asked.node.is_some() {
            return Ok(None);
        }
        let (config, table) = (cx.server.config.load(), cx.server.shared::<Table>());
        let here = config.components.iter().filter(|component| {
            table.is_connected(&component.domain)
                && is_of_host(cx.server, &component.domain, &cx.host.domain)
        });
        let items = here.filter_map(|component| {
            let jid = Jid::domain_only(&component.domain).ok()?;
            Some(Item { name: component.name.clone().map(Into::into), ..Item::of(jid) })
        });
        Ok(Some(items.collect()))
    }
}
