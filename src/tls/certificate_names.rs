//! The names in a certificate (RFC 6120 §13.7.1.2, RFC 4985).

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

/// A name in a certificate.
#[derive(Debug)]
pub(super) enum Name {
    /// `dNSName`.
    Dns(String),
    /// `SRVName` for `_xmpp-client`, without that prefix: for clients alone (RFC 4985).
    Client(String),
    /// `SRVName` for `_xmpp-server`, without that prefix: for servers alone.
    Server(String),
    /// `iPAddress`.
    Ip(Vec<u8>),
    /// `id-on-xmppAddr` (RFC 6120 §13.7.1.4).
    Xmpp(String),
}

/// The names in `subjectAltName`.
pub(super) fn names(certificate: &X509Certificate<'_>) -> Vec<Name> {
    let Ok(Some(san)) = certificate.subject_alternative_name() else { return Vec::new() };
    let read = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(Name::Dns(name.to_ascii_lowercase())),
        GeneralName::IPAddress(bytes) => Some(Name::Ip(bytes.to_vec())),
        GeneralName::OtherName(oid, value) => match oid.to_id_string().as_str() {
            XMPP_ADDR => Some(Name::Xmpp(other_name(value)?.to_owned())),
            SRV_NAME => {
                let name = other_name(value)?.to_ascii_lowercase();
                if let Some(domain) = name.strip_prefix("_xmpp-server.") {
                    return Some(Name::Server(domain.to_owned()));
                }
                Some(Name::Client(name.strip_prefix("_xmpp-client.")?.to_owned()))
            }
            _ => None,
        },
        _ => None,
    };
    san.value.general_names.iter().filter_map(read).collect()
}

/// The text in an `[0] EXPLICIT` string.
fn other_name(value: &[u8]) -> Option<&str> {
    let (tag, string) = der_content(value)?;
    let (_, text) = der_content(string).filter(|_| tag == 0xA0)?;
    std::str::from_utf8(text).ok()
}

/// The tag of a value in DER, and its content of less than 64 KiB, if nothing stands behind it (X.690 §8.1.3).
fn der_content(der: &[u8]) -> Option<(u8, &[u8])> {
    let (tag, length, content) = match der {
        [tag, 0x81, length, content @ ..] if *length >= 0x80 => {
            (tag, usize::from(*length), content)
        }
        [tag, 0x82, high, low, content @ ..] if *high > 0 => {
            (tag, usize::from(u16::from_be_bytes([*high, *low])), content)
        }
        [tag, length @ ..=0x7F, content @ ..] => (tag, usize::from(*length), content),
        _ => return None,
    };
    (content.len() == length).then_some((*tag, content))
}

/// RFC 6125 §6.4.3: a star stands for exactly one label, the first one.
pub(super) fn dns_matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => name.split_once('.').is_some_and(|(_, rest)| rest == parent),
        None => pattern == name,
    }
}

const SRV_NAME: &str = "1.3.6.1.5.5.7.8.7";
const XMPP_ADDR: &str = "1.3.6.1.5.5.7.8.5";

#[cfg(test)]
mod tests {
    use super::{dns_matches, other_name};

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(dns_matches("*.capulet.lit", "chat.capulet.lit"));
        assert!(dns_matches("capulet.lit", "capulet.lit"));
        assert!(!dns_matches("*.capulet.lit", "capulet.lit"));
        assert!(!dns_matches("*.capulet.lit", "a.chat.capulet.lit"));
        assert!(!dns_matches("c*.capulet.lit", "chat.capulet.lit"));
    }

    #[test]
    fn an_other_name_is_read_only_when_its_lengths_are_right() {
        assert_eq!(other_name(b"\xA0\x05\x0C\x03abc"), Some("abc"));
        assert_eq!(other_name(b"\xA0\x05\x0C\x04abc"), None);
        assert_eq!(other_name(b"\xA0\x06\x0C\x03abc"), None);
        assert_eq!(other_name(b""), None);
        for length in [1, 125, 126, 127, 128, 252, 253, 255, 256, 1_000] {
            let text = "a".repeat(length);
            let der = |tag: u8, content: &[u8]| match content.len() {
                short @ ..0x80 => [&[tag, short as u8], content].concat(),
                middle @ ..0x100 => [&[tag, 0x81, middle as u8], content].concat(),
                long => [&[tag, 0x82, (long >> 8) as u8, long as u8], content].concat(),
            };
            let value = der(0xA0, &der(0x0C, text.as_bytes()));
            assert_eq!(other_name(&value), Some(text.as_str()), "{length}");
            assert_eq!(other_name(&value[..value.len() - 1]), None);
        }
    }
}
