//! XEP-0199: XMPP Ping. The server answers for itself and for its accounts.

use async_trait::async_trait;

use crate::host::{
    Access, AddressKind, Cx, IqHandler, IqReply, Manifest, Module, Registry, Status, Xep,
};
use crate::ns;
use crate::stanza::{Iq, IqKind};

/// Answers pings.
pub struct Ping;

impl Module for Ping {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "ping",
            summary: "Answers pings, and pings clients that are silent",
            xeps: &[Xep { number: 199, version: "2.0.1", status: Status::Complete }],
        }
    }

    fn register(&self, on: &mut Registry) {
        for (address, access) in [
            (AddressKind::Account, Access::Contacts),
            (AddressKind::Host, Access::Public),
            (AddressKind::Service, Access::Public),
        ] {
            on.disco_feature(address, ns::PING);
            on.iq(address, IqKind::Get, (ns::PING, "ping"), access, &Self);
        }
    }
}

#[async_trait]
impl IqHandler for Ping {
    async fn handle(&self, _: &mut Cx<'_>, _: &Iq) -> IqReply {
        Ok(None)
    }
}
