//! XEP-0157: Contact Addresses for XMPP Services, in the server's `disco#info` (XEP-0128).

use crate::config::Config;
use crate::host::{AddressKind, Manifest, Module, Registry, Status, Xep};
use crate::payload::data_form::{Field, FieldKind, Form, FormKind};

const FORM_TYPE: &str = "http://jabber.org/network/serverinfo";

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
            ],
        }
    }

    fn register(&self, _: &mut Registry) {}

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
