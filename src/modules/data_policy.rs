//! XEP-0504: Data Policy. Tells users how the server handles their data: what the configuration says, and what
//! follows from it.
//!
//! A reload changes the form, so it is told by a provider and is no part of the entity capabilities.

use std::time::Duration;

use async_trait::async_trait;

use crate::config::Config;
use crate::host::{AddressKind, Asked, Cx, Discovery, Manifest, Module, Registry, Status, Xep};
use crate::payload::data_form::{Field, FieldKind, Form, FormKind};
use crate::payload::disco::Info;
use crate::stanza::StanzaError;

const FORM_TYPE: &str = "urn:xmpp:data-policy:0";

/// Tells how data are handled.
pub struct DataPolicy;

impl Module for DataPolicy {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "data_policy",
            summary: "Tells users how their data are handled",
            // Without the place of the data (§3.7), which XEP-0080 tells.
            xeps: &[Xep { number: 504, version: "0.1.0", status: Status::Partial }],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.discovery(AddressKind::Host, &Self);
    }
}

#[async_trait]
impl Discovery for DataPolicy {
    async fn info(&self, cx: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Info>, StanzaError> {
        let policy = || policy(&cx.server.config.load());
        Ok(asked.node.is_none().then(|| Info { forms: vec![policy()], ..Info::default() }))
    }
}

/// The form (XEP-0504 §3).
fn policy(config: &Config) -> Form {
    let policy = &config.data_policy;
    let one = |var, kind, value: &str| Field::new(var, kind).values([value]);
    let auth = if config.auth.plain { "plain" } else { "hidden" };
    let mut fields = vec![
        one("auth_data", FieldKind::ListSingle, auth),
        one("full_erasure", FieldKind::Boolean, &config.registration.remove.to_string()),
        one("data_export", FieldKind::Boolean, &policy.export.to_string()),
        one("encryption_at_rest", FieldKind::Boolean, &policy.encrypted_at_rest.to_string()),
    ];
    // Without an archive, messages wait for their reader as long as that takes.
    if config.archive.enabled {
        fields.push(one("data_retention", FieldKind::TextSingle, &retention(config.archive.age)));
    }
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
