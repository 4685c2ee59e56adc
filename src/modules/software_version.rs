//! XEP-0092: Software Version. The name and the version; the operating system is nobody's business.

use async_trait::async_trait;

use crate::host::{
    Access, AddressKind, Cx, IqHandler, IqReply, Manifest, Module, Registry, Status, Xep,
};
use crate::stanza::{Iq, IqKind};
use crate::xml::element;

const NS: &str = "jabber:iq:version";

/// Tells the version.
pub struct SoftwareVersion;

impl Module for SoftwareVersion {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "software_version",
            summary: "Tells the server's name and version",
            xeps: &[Xep { number: 92, version: "1.1", status: Status::Complete }],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.disco_feature(AddressKind::Host, NS).iq(
            AddressKind::Host,
            IqKind::Get,
            (NS, "query"),
            Access::Public,
            &Self,
        );
    }
}

#[async_trait]
impl IqHandler for SoftwareVersion {
    async fn handle(&self, _: &mut Cx<'_>, _: &Iq) -> IqReply {
        Ok(Some(
            element("query")
                .ns(NS)
                .child(element("name").text("Waxwing"))
                .child(element("version").text(env!("CARGO_PKG_VERSION"))),
        ))
    }
}
