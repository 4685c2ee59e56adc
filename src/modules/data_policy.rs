//! XEP-0504: Data Policy. Tells users how the server handles their data: what the configuration says, and what
//! follows from it.

mod location;

use std::time::Duration;

use crate::config::Config;
use crate::host::{Access, AddressKind, Manifest, Module, Registry, Status, Xep};
use crate::ns;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind};
use crate::stanza::IqKind;

const FORM_TYPE: &str = "urn:xmpp:data-policy:0";

/// Tells how data are handled.
pub struct DataPolicy;

impl Module for DataPolicy {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "data_policy",
            summary: "Tells users how their data are handled",
            xeps: &[Xep { number: 504, version: "0.1.0", status: Status::Complete }],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.form(AddressKind::Host, |config, domain| Some(of_host(config, domain)));
        on.form(AddressKind::Service, |config, _| Some(of_service(config)));
        let items = (ns::PUBSUB, "pubsub");
        on.iq(AddressKind::Host, IqKind::Get, items, Access::Public, &location::Location);
    }
}

/// The form of hosts (XEP-0504 §3).
fn of_host(config: &Config, domain: &str) -> Form {
    let auth = if config.auth.plain { "plain" } else { "hidden" };
    let export = config.data_policy.export || config.pages_url(domain).is_some();
    let mut fields = vec![
        one("auth_data", FieldKind::ListSingle, auth),
        one("full_erasure", FieldKind::Boolean, &config.registration.remove.to_string()),
        one("data_export", FieldKind::Boolean, &export.to_string()),
    ];
    // Without an archive, messages wait for their reader as long as that takes.
    if config.archive.enabled {
        fields.push(one("data_retention", FieldKind::TextSingle, &retention(config.archive.age)));
    }
    form(config, fields)
}

/// The form of services. The host says what holds for accounts.
fn of_service(config: &Config) -> Form {
    form(config, Vec::new())
}

/// What holds for all data that are kept here.
fn form(config: &Config, mut fields: Vec<Field>) -> Form {
    let policy = &config.data_policy;
    // Items of nodes, files, rooms, and messages (XEP-0424).
    fields.push(one("data_deletion", FieldKind::Boolean, "true"));
    let at_rest = policy.encrypted_at_rest.to_string();
    fields.push(one("encryption_at_rest", FieldKind::Boolean, &at_rest));
    if !policy.access.is_empty() {
        let words = policy.access.iter().map(|access| access.word());
        fields.push(Field::new("access_policy", FieldKind::ListMulti).values(words));
    }
    let texts = [
        ("backup_frequency", policy.backup_every.as_deref()),
        ("backup_retention", policy.backup_kept.as_deref()),
        ("tos", policy.terms.first().map(String::as_str)),
    ];
    for (var, text) in texts {
        fields.extend(text.map(|text| one(var, FieldKind::TextSingle, text)));
    }
    fields.extend(policy.info.as_deref().map(|info| one("extra_info", FieldKind::TextMulti, info)));
    let form = Form::new(FormKind::Result).form_type(FORM_TYPE);
    fields.into_iter().fold(form, Form::field)
}

fn one(var: &'static str, kind: FieldKind, value: &str) -> Field {
    Field::new(var, kind).values([value])
}

/// In hours, at least (XEP-0504 §3.3).
fn retention(age: Duration) -> String {
    match age.as_secs().div_ceil(3600) {
        0 => "infinite".to_owned(),
        hours => hours.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::retention;

    #[test]
    fn retention_is_told_in_whole_hours() {
        for (seconds, told) in [(0, "infinite"), (1, "1"), (3600, "1"), (3601, "2"), (86400, "24")]
        {
            assert_eq!(retention(Duration::from_secs(seconds)), told);
        }
    }
}
