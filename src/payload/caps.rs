//! XEP-0115: a hash of what an entity is and can.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::disco::Identity;
use crate::ns;
use crate::xml::{Node, element};

/// The verification string (XEP-0115 §5.1) of an entity without extended forms.
#[must_use]
pub fn hash(identities: &[Identity<'_>], features: &[&str]) -> String {
    let mut parts: Vec<String> = identities
        .iter()
        .map(|(category, kind, name)| format!("{category}/{kind}//{}<", name.unwrap_or_default()))
        .collect();
    parts.sort_unstable();
    let mut vars: Vec<&str> = features.to_vec();
    vars.sort_unstable();
    parts.extend(vars.iter().map(|var| format!("{var}<")));
    STANDARD.encode(Sha1::digest(parts.concat()))
}

/// `<c/>` (XEP-0115 §4).
pub fn caps(node: &str, ver: &str) -> Node {
    element("c").ns(ns::CAPS).attr("hash", "sha-1").attr("node", node).attr("ver", ver)
}

#[cfg(test)]
mod tests {
    /// The example of XEP-0115 §5.2.
    #[test]
    fn the_hash_of_the_example_in_the_specification_is_right() {
        let features = [
            "http://jabber.org/protocol/disco#items",
            "http://jabber.org/protocol/caps",
            "http://jabber.org/protocol/disco#info",
            "http://jabber.org/protocol/muc",
        ];
        let ver = super::hash(&[("client", "pc", Some("Exodus 0.9.1"))], &features);
        assert_eq!(ver, "QgayPKawpkPSDYmwT/WM94uAlu0=");
    }
}
