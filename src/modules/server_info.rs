//! XEP-0157: Contact Addresses for XMPP Services, in the server's `disco#info` (XEP-0128); XEP-0455: Service
//! Outage Status, the files where clients read what has happened to a server that they cannot reach; and XEP-0485:
//! PubSub Server Information, which tells programs of the network about the server if the operator wants it.

mod federation;
mod published;

use std::sync::Arc;

use crate::config::{Config, ContactConfig};
use crate::host::{AddressKind, Manifest, Module, Registry, ServerState, Status, Xep};
use crate::ns;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind};

const FORM_TYPE: &str = ns::CONTACT_ADDRESSES;
const OUTAGE_FORM_TYPE: &str = "urn:xmpp:sos:0";

/// Tells where the people who run the server can be reached.
pub struct ServerInfo;

impl Module for ServerInfo {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "server_info",
            summary: "Tells where the people who run the server can be reached",
            xeps: &[
                Xep { number: 128, version: "1.0.1", status: Status::Complete },
                Xep { number: 157, version: "1.1.1", status: Status::Complete },
                Xep { number: 455, version: "0.4.0", status: Status::Complete },
                Xep { number: 485, version: "1.0.0", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.form(AddressKind::Host, of_host);
        on.form(AddressKind::Host, |config, _| outage(config));
    }

    fn configure(&self, config: &Config, on: &mut Registry) {
        if config.pubsub.server_info {
            on.disco_feature(AddressKind::Host, federation::NS);
        }
    }

    fn start(&self, server: &Arc<ServerState>) {
        drop(server.tasks.spawn("server-info", published::run(Arc::clone(server))));
    }
}

/// The addresses (XEP-0157 §2). `None` if there are none.
fn contacts(contact: &ContactConfig) -> Option<Form> {
    let lists = [
        ("abuse-addresses", &contact.abuse),
        ("admin-addresses", &contact.admin),
        ("feedback-addresses", &contact.feedback),
        ("sales-addresses", &contact.sales),
        ("security-addresses", &contact.security),
        ("status-addresses", &contact.status),
        ("support-addresses", &contact.support),
    ];
    let named = lists.into_iter().filter(|(_, uris)| !uris.is_empty());
    let fields = named.map(|(var, uris)| Field::new(var, FieldKind::ListMulti).values(uris));
    let form = |form: Option<Form>, field| Some(form.unwrap_or_else(empty).field(field));
    fields.fold(None, form)
}

fn empty() -> Form {
    Form::new(FormKind::Result).form_type(FORM_TYPE)
}

/// The addresses, and the node that tells of the host (XEP-0485 §3). Both specifications have a form of one type, and share it
/// (XEP-0485 §8.2).
fn of_host(config: &Config, domain: &str) -> Option<Form> {
    let node = config.pubsub.server_info.then(|| {
        let node = published::uri(domain);
        Field::new("serverinfo-pubsub-node", FieldKind::TextSingle).value(&node)
    });
    let contacts = contacts(&config.contact);
    match node {
        Some(node) => Some(contacts.unwrap_or_else(empty).field(node)),
        None => contacts,
    }
}

/// Where clients read what has happened to the server (XEP-0455 §2.1).
fn outage(config: &Config) -> Option<Form> {
    let outage = &config.contact.outage;
    let files = Field::new("external-status-addresses", FieldKind::ListMulti).values(outage);
    let form = Form::new(FormKind::Result).form_type(OUTAGE_FORM_TYPE).field(files);
    (!outage.is_empty()).then_some(form)
}
