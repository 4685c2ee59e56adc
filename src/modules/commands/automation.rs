//! What service discovery tells of commands (XEP-0050 §2.2).

use crate::ns;
use crate::payload::disco::{Identity, Info};

/// A command, or their list: what it is, its name for people, and its features.
pub(super) fn automation(
    kind: &'static str,
    name: &'static str,
    features: &[&'static str],
) -> Info {
    let identity = Identity { category: "automation", kind, name: Some(name.into()) };
    let features = [&[ns::COMMANDS], features].concat();
    Info { identities: vec![identity], features, forms: Vec::new() }
}

/// The list of commands, for people.
pub(super) const LIST: &str = "Commands";
