//! XEP-0115: Entity Capabilities, and XEP-0390: Entity Capabilities 2.0. A hash stands for the identities,
//! features and forms of an entity. This file makes the hash of the server; `advertised.rs` reads the
//! hashes that others send, and `verify.rs` compares them with what they stand for.

mod advertised;
mod verify;

pub use advertised::{Advertised, Algorithm, Version};
pub use verify::{Description, hash_2, read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use smol_str::SmolStr;

use self::advertised::HASHES;
use super::data_form::FORM_TYPE;
use super::disco::Info;
use crate::ns;
use crate::xml::{Node, element};

/// The hash (XEP-0115 §5.1) of what an entity is, can do, and tells in forms.
#[must_use]
pub fn hash(info: &Info) -> String {
    STANDARD.encode(Sha1::digest(verification(info)))
}

/// The string that is hashed. Forms and their fields are sorted, and so are values
/// (XEP-0115 §5.1, steps 6 and 7).
fn verification(info: &Info) -> String {
    let name = |name: &Option<SmolStr>| name.clone().unwrap_or_default();
    let mut parts: Vec<String> = info
        .identities
        .iter()
        .map(|i| format!("{}/{}//{}<", i.category, i.kind, name(&i.name)))
        .collect();
    parts.sort_unstable();
    let mut vars = info.features.clone();
    vars.sort_unstable();
    parts.extend(vars.iter().map(|var| format!("{var}<")));
    let mut forms: Vec<_> =
        info.forms.iter().filter_map(|form| Some((form.as_form_type()?, form))).collect();
    forms.sort_unstable_by_key(|(form_type, _)| *form_type);
    for (form_type, form) in forms {
        parts.push(format!("{form_type}<"));
        let fields = form.fields().iter().filter_map(|field| Some((field.var()?, field)));
        let mut fields: Vec<_> = fields.filter(|(var, _)| *var != FORM_TYPE).collect();
        fields.sort_unstable_by_key(|(var, _)| *var);
        for (var, field) in fields {
            parts.push(format!("{var}<"));
            let mut values: Vec<_> = field.as_values().iter().map(|v| format!("{v}<")).collect();
            values.sort_unstable();
            parts.extend(values);
        }
    }
    parts.concat()
}

/// The `<c/>` element (XEP-0115 §4).
pub fn caps(node: &str, ver: &str) -> Node {
    element("c").ns(ns::CAPS).attr("hash", "sha-1").attr("node", node).attr("ver", ver)
}

/// The hash set (XEP-0390 §4.2), of one hash by SHA-256.
pub fn caps_2(hash: &str) -> Node {
    let hash = element("hash").ns(HASHES).attr("algo", "sha-256").text(hash);
    element("c").ns(ns::CAPS_2).child(hash)
}

/// The node about which an entity with this hash by SHA-256 is asked (XEP-0390 §4.3).
#[must_use]
pub fn node_2(hash: &str) -> String {
    format!("{}#sha-256.{hash}", ns::CAPS_2)
}

#[cfg(test)]
mod tests {
    use crate::payload::data_form::{Field, FieldKind, Form, FormKind};
    use crate::payload::disco::{Identity, Info};

    fn info(name: &str, features: &[&'static str], forms: &[Form]) -> Info {
        let identity = Identity { category: "client", kind: "pc", name: Some(name.into()) };
        Info { identities: vec![identity], features: features.to_vec(), forms: forms.to_vec() }
    }

    /// The example of XEP-0115 §5.2.
    #[test]
    fn the_hash_of_the_example_in_the_specification_is_right() {
        let features = [
            "http://jabber.org/protocol/disco#items",
            "http://jabber.org/protocol/caps",
            "http://jabber.org/protocol/disco#info",
            "http://jabber.org/protocol/muc",
        ];
        let ver = super::hash(&info("Exodus 0.9.1", &features, &[]));
        assert_eq!(ver, "QgayPKawpkPSDYmwT/WM94uAlu0=");
    }

    /// As in XEP-0115 §5.3, with one identity.
    #[test]
    fn forms_take_part_in_the_hash_sorted() {
        let field = |var, values: &[&str]| {
            Field::new(var, FieldKind::TextMulti).values(values.iter().copied())
        };
        let form = Form::new(FormKind::Result)
            .form_type("urn:xmpp:dataforms:softwareinfo")
            .field(field("software", &["Psi"]))
            .field(field("ip_version", &["ipv6", "ipv4"]));
        let other = Form::new(FormKind::Result).form_type("urn:a");
        let expected = "client/pc//Psi 0.11<http://jabber.org/protocol/muc<urn:a<\
            urn:xmpp:dataforms:softwareinfo<ip_version<ipv4<ipv6<software<Psi<";
        let features = ["http://jabber.org/protocol/muc"];
        assert_eq!(super::verification(&info("Psi 0.11", &features, &[form, other])), expected);
    }
}
