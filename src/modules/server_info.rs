//! XEP-0157: Contact Addresses for XMPP Services, in the server's `disco#info` (XEP-0128); and XEP-0455: Service
//! Outage Status, the files where clients read what has happened to a server that they cannot reach.

use async_trait::async_trait;

use crate::config::Config;
use crate::host::{AddressKind, Asked, Cx, Discovery, Manifest, Module, Registry, Status, Xep};
use crate::payload::data_form::{Field, FieldKind, Form, FormKind};
use crate::payload::disco::Info;
use crate::stanza::StanzaError;

const FORM_TYPE: &str = "http://jabber.org/network/serverinfo";
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
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.discovery(AddressKind::Host, &Self);
    }

    fn configure(&self, config: &Config, on: &mut Registry) {
        let contact = &config.contact;
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
        let fields: Vec<_> = fields.collect();
        if !fields.is_empty() {
            let form = Form::new(FormKind::Result).form_type(FORM_TYPE);
            on.form(AddressKind::Host, fields.into_iter().fold(form, Form::field));
        }
    }
}

/// XEP-0455 §2.1. A reload changes the form, so it is no part of the entity capabilities.
#[async_trait]
impl Discovery for ServerInfo {
    async fn info(&self, cx: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Info>, StanzaError> {
        let config = cx.server.config.load();
        let outage = &config.contact.outage;
        if asked.node.is_some() || outage.is_empty() {
            return Ok(None);
        }
        let files = Field::new("external-status-addresses", FieldKind::ListMulti).values(outage);
        let form = Form::new(FormKind::Result).form_type(OUTAGE_FORM_TYPE).field(files);
        Ok(Some(Info { forms: vec![form], ..Info::default() }))
    }
}
