//! XEP-0202: Entity Time. The server tells its time, in UTC.

use async_trait::async_trait;

use crate::host::{
    Access, AddressKind, Cx, IqHandler, IqReply, Manifest, Module, Registry, Status, Xep,
};
use crate::stanza::{Iq, IqKind};
use crate::xml::element;

const NS: &str = "urn:xmpp:time";

/// Tells the time.
pub struct EntityTime;

impl Module for EntityTime {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "time",
            summary: "Tells the server's time",
            xeps: &[
                Xep { number: 82, version: "1.1.1", status: Status::Complete },
                Xep { number: 202, version: "2.0", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.disco_feature(AddressKind::Host, NS).iq(
            AddressKind::Host,
            IqKind::Get,
            (NS, "time"),
            Access::Public,
            &Self,
        );
    }
}

#[async_trait]
impl IqHandler for EntityTime {
    async fn handle(&self, cx: &mut Cx<'_>, _: &Iq) -> IqReply {
        let utc = cx.server.clock.now().to_string();
        Ok(Some(
            element("time")
                .ns(NS)
                .child(element("tzo").text("+00:00"))
                .child(element("utc").text(&utc)),
        ))
    }
}
