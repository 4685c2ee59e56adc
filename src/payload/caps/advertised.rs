//! The hash that an entity sends in its presence for what it can do.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha384, Sha512};
use smol_str::{SmolStr, format_smolstr};

use crate::ns;
use crate::stanza::Content;
use crate::xml::ElementRef;

/// A hash that an entity has sent (XEP-0115 §4, XEP-0390 §5.4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Advertised {
    /// Which specification says how it was made.
    pub version: Version,
    /// The function; `None` if this server does not know it, so that the hash cannot be verified.
    pub algorithm: Option<Algorithm>,
    /// The hash in base64.
    pub hash: SmolStr,
    /// What two entities with the same capabilities have in common, and no others: version, function and
    /// hash. At most 700 bytes.
    pub key: SmolStr,
    /// The node that the entity is asked about (XEP-0115 §6.2, XEP-0390 §4.3).
    pub node: String,
}

/// How a hash was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// XEP-0115 §5.1.
    One,
    /// XEP-0390 §4.1.
    Two,
}

/// A hash function, by its name in the registry of IANA (XEP-0115 §7.1, XEP-0300 §3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// `sha-1`
    Sha1,
    /// `sha-256`
    Sha256,
    /// `sha-384`
    Sha384,
    /// `sha-512`
    Sha512,
}

impl Algorithm {
    /// The function with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "sha-1" => Some(Self::Sha1),
            "sha-256" => Some(Self::Sha256),
            "sha-384" => Some(Self::Sha384),
            "sha-512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The hash of this input, in base64.
    pub(super) fn hash(self, input: &[u8]) -> String {
        match self {
            Self::Sha1 => STANDARD.encode(Sha1::digest(input)),
            Self::Sha256 => STANDARD.encode(Sha256::digest(input)),
            Self::Sha384 => STANDARD.encode(Sha384::digest(input)),
            Self::Sha512 => STANDARD.encode(Sha512::digest(input)),
        }
    }
}

impl Advertised {
    /// What the sender of this presence can do. If there are several hashes, one that can be verified, and
    /// the newer version, goes first. `None` if there is none that means anything.
    ///
    /// Hashes of the format before version 1.4 of XEP-0115, without the name of a function, are none
    /// (XEP-0115 §5.4, step 1).
    #[must_use]
    pub fn of(presence: &Content) -> Option<Self> {
        let mut best: Option<Self> = None;
        for c in presence.received_children().filter(|child| child.name() == "c") {
            let found = match c.ns() {
                ns::CAPS => version_1(&c),
                ns::CAPS_2 => version_2(&c),
                _ => None,
            };
            if let Some(found) = found
                && best.as_ref().is_none_or(|best| found.rank() > best.rank())
            {
                best = Some(found);
            }
        }
        best
    }

    fn rank(&self) -> (bool, bool) {
        (self.algorithm.is_some(), self.version == Version::Two)
    }
}

fn version_1(c: &ElementRef<'_>) -> Option<Advertised> {
    let text = |name| c.attr(name).filter(|value| !value.is_empty() && value.len() <= MAX_PART);
    let (function, node, ver) = (text("hash")?, text("node")?, text("ver")?);
    Some(Advertised {
        version: Version::One,
        algorithm: Algorithm::named(&function),
        hash: SmolStr::new(&ver),
        key: format_smolstr!("1 {function} {ver}"),
        node: format!("{node}#{ver}"),
    })
}

/// One hash of the set, preferably one that can be verified.
fn version_2(c: &ElementRef<'_>) -> Option<Advertised> {
    let hashes = c.children().filter(|child| child.is(HASHES, "hash")).take(MAX_HASHES);
    let mut found: Vec<_> = hashes.filter_map(|hash| hash_2(&hash)).collect();
    let at = found.iter().position(|hash| hash.algorithm.is_some()).unwrap_or(0);
    (at < found.len()).then(|| found.swap_remove(at))
}

fn hash_2(hash: &ElementRef<'_>) -> Option<Advertised> {
    let (function, text) = (hash.attr("algo")?, hash.text());
    let text = text.trim();
    if [&*function, text].iter().any(|part| part.is_empty() || part.len() > MAX_PART) {
        return None;
    }
    Some(Advertised {
        version: Version::Two,
        algorithm: Algorithm::named(&function),
        hash: SmolStr::new(text),
        key: format_smolstr!("2 {function} {text}"),
        node: format!("{}#{function}.{text}", ns::CAPS_2),
    })
}

/// XEP-0300 §2.
pub(super) const HASHES: &str = "urn:xmpp:hashes:2";
/// Bytes of an attribute or of a hash. The longest hash that this server knows has 88.
const MAX_PART: usize = 340;
/// Hashes of a set that are looked at.
const MAX_HASHES: usize = 16;

#[cfg(test)]
mod tests {
    use super::{Advertised, Algorithm, MAX_PART, Version};
    use crate::stanza::Content;
    use crate::xml::Frame;

    fn advertised(children: &str) -> Option<Advertised> {
        let presence = format!("<presence>{children}</presence>");
        Advertised::of(&Content::of(Frame::from_bytes(presence).unwrap()))
    }

    fn c(attributes: &str) -> String {
        format!("<c xmlns='http://jabber.org/protocol/caps' {attributes}/>")
    }

    fn set(hashes: &[(&str, &str)]) -> String {
        let hash = |(algo, hash): &(&str, &str)| {
            format!("<hash xmlns='urn:xmpp:hashes:2' algo='{algo}'>{hash}</hash>")
        };
        let hashes: String = hashes.iter().map(hash).collect();
        format!("<c xmlns='urn:xmpp:caps'>{hashes}</c>")
    }

    #[test]
    fn a_hash_of_each_version_is_read() {
        let one = advertised(&c("hash='sha-1' node='urn:x' ver='abc='")).unwrap();
        assert_eq!((one.version, one.algorithm), (Version::One, Some(Algorithm::Sha1)));
        assert_eq!((&*one.key, &*one.node), ("1 sha-1 abc=", "urn:x#abc="));
        let two = advertised(&set(&[("sha3-256", "x="), ("sha-256", " y=\n")])).unwrap();
        assert_eq!((two.version, two.algorithm), (Version::Two, Some(Algorithm::Sha256)));
        assert_eq!((&*two.key, &*two.node), ("2 sha-256 y=", "urn:xmpp:caps#sha-256.y="));
    }

    #[test]
    fn one_that_can_be_verified_goes_first_and_then_the_newer_version() {
        let one = c("hash='sha-1' node='urn:x' ver='abc='");
        let version = |children: String| advertised(&children).map(|found| found.version);
        assert_eq!(version(format!("{one}{}", set(&[("sha-256", "y=")]))), Some(Version::Two));
        assert_eq!(version(format!("{}{one}", set(&[("sha-256", "y=")]))), Some(Version::Two));
        assert_eq!(version(format!("{}{one}", set(&[("sha3-256", "y=")]))), Some(Version::One));
        let odd = advertised(&set(&[("blake2b-512", "y=")])).unwrap();
        assert_eq!((odd.algorithm, &*odd.node), (None, "urn:xmpp:caps#blake2b-512.y="));
        let two = format!("{one}{}", c("hash='sha-1' node='urn:y' ver='def='"));
        assert_eq!(advertised(&two).unwrap().node, "urn:x#abc=", "the first of two");
        let odd = format!("{}{one}", c("hash='md5' node='urn:y' ver='def='"));
        assert_eq!(advertised(&odd).unwrap().node, "urn:x#abc=");
    }

    #[test]
    fn what_means_nothing_is_nothing() {
        let long = "x".repeat(MAX_PART + 1);
        let cases = [
            String::new(),
            c(""),
            c("node='urn:x' ver='0.9' ext='a b'"),
            c("hash='' node='urn:x' ver='abc='"),
            c("hash='sha-1' ver='abc='"),
            c("hash='sha-1' node='urn:x'"),
            c("hash='sha-1' node='urn:x' ver=''"),
            c(&format!("hash='sha-1' node='urn:x' ver='{long}'")),
            c(&format!("hash='sha-1' node='{long}' ver='abc='")),
            "<c xmlns='urn:other' hash='sha-1' node='urn:x' ver='abc='/>".to_owned(),
            set(&[]),
            set(&[("", "y=")]),
            set(&[("sha-256", " ")]),
            set(&[("sha-256", &long)]),
            "<c xmlns='urn:xmpp:caps'><hash algo='sha-256'>y=</hash></c>".to_owned(),
            "<c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2'>y=</hash></c>".to_owned(),
        ];
        for case in cases {
            assert_eq!(advertised(&case), None, "{case}");
        }
    }
}
