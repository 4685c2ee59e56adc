//! XEP-0157: Contact Addresses for XMPP Services, in the server's `disco#info` (XEP-0128); XEP-0455: Service
//! Outage Status, the files where clients read what has happened to a server that they cannot reach; and XEP-0485:
//! PubSub Server Information, which tells programs of the network about the server if the operator wants it.

mod federation;
mod published;

use std::sync::Arc;

use async_trait::async_trait;

use crate::config::{Config, ContactConfig};
use crate::host::{
    AddressKind, Asked, Cx, Discovery, Manifest, Module, Registry, ServerState, Status, Xep,
};
use crate::ns;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind};
use crate::payload::disco::Info;
use crate::stanza::StanzaError;

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
        on.discovery(AddressKind::Host, &Self);
    }

    fn configure(&self, config: &Config, on: &mut Registry) {
        if config.pubsub.server_info {
            on.disco_feature(AddressKind::Host, federation::NS);
        } else if let Some(form) = contacts(&config.contact) {
            on.form(AddressKind::Host, form);
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

/// What a reload changes (XEP-0455 §2.1), and what differs from host to host (XEP-0485 §3), is no part of the entity
/// capabilities. Both specifications that have a form of one type share it (XEP-0485 §8.2).
#[async_trait]
impl Discovery for ServerInfo {
    async fn info(&self, cx: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Info>, StanzaError> {
        let config = cx.server.config.load();
        if asked.node.is_some() {
            return Ok(None);
        }
        let mut forms = Vec::new();
        if config.pubsub.server_info {
            let node = published::uri(asked.to.domain());
            let node = Field::new("serverinfo-pubsub-node", FieldKind::TextSingle).value(&node);
            forms.push(contacts(&config.contact).unwrap_or_else(empty).field(node));
        }
        let outage = &config.contact.outage;
        if !outage.is_empty() {
            let files = Field::new("external-status-addresses", FieldKind::ListMulti);
            let form = Form::new(FormKind::Result).form_type(OUTAGE_FORM_TYPE);
            forms.push(form.field(files.values(outage)));
        }
        Ok((!forms.is_empty()).then(|| Info { forms, ..Info::default() }))
    }
}
