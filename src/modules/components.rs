//! XEP-0114: Jabber Component Protocol, as users see it: components that are connected are among the items of the
//! server. Their connections are in `src/component/`, what is sent to them in `src/host/components.rs`.

use async_trait::async_trait;

use crate::host::components::{Components as Table, is_of_host};
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
                Xep { number: 356, version: "0.4.1", status: Status::Partial },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.shared(Table::default());
        on.discovery(AddressKind::Host, &Self);
    }
}

#[async_trait]
impl Discovery for Components {
    /// A component below a host is an item of this host, any other of all hosts.
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
