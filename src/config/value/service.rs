//! URIs of STUN and TURN servers (RFC 7064, RFC 7065).

use std::net::Ipv6Addr;

use super::list::{array, each};
use super::{Kind, Refusal, Value, quote, refuse, wrong_type};
use crate::config::nearest::nearest;
use crate::config::service_uri::ServiceUri;

/// A list of servers, or a single server.
pub(in crate::config) struct ServiceUris;

impl Kind<Vec<ServiceUri>> for ServiceUris {
    fn describe(&self) -> String {
        "a list of URIs, for example `[\"stun:turn.example.org\", \"turn:turn.example.org\", \
         \"turns:turn.example.org:443?transport=tcp\"]`"
            .to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Vec<ServiceUri>, Vec<Refusal>> {
        let uris = each(value, |item| {
            let help = "write for example \"turn:turn.example.org:3478?transport=udp\"".to_owned();
            let Some(text) = item.get_ref().as_str() else {
                return wrong_type(item, "a list of URIs", help);
            };
            parse(text).or_else(|(what, meant)| {
                refuse(item, format!("has {}, {what}", quote(text)), meant.unwrap_or(help))
            })
        })?;
        let twice = uris.iter().enumerate().find(|(index, uri)| uris[..*index].contains(uri));
        if let Some((_, uri)) = twice {
            let help = "remove one of them".to_owned();
            return refuse(value, format!("has {uri} twice"), help);
        }
        if uris.len() > MOST {
            return refuse(value, "has too many servers", format!("write at most {MOST}"));
        }
        Ok(uris)
    }

    fn write(&self, value: &Vec<ServiceUri>) -> Option<String> {
        Some(array(&value.iter().map(ToString::to_string).collect::<Vec<_>>()))
    }
}

/// What is wrong, and what to write if that is clear.
type Wrong = (String, Option<String>);

fn parse(text: &str) -> Result<ServiceUri, Wrong> {
    let (scheme, rest) =
        text.split_once(':').ok_or_else(|| ("which is no URI".to_owned(), None))?;
    let scheme = scheme.to_ascii_lowercase();
    let Some((kind, port, usual)) = SCHEMES.iter().find(|(kind, ..)| *kind == scheme) else {
        let meant = nearest(&scheme, SCHEMES.iter().map(|(kind, ..)| *kind));
        let help = meant.map(|meant| format!("write \"{meant}:{rest}\""));
        return Err(("which is no STUN or TURN server".to_owned(), help));
    };
    if rest.starts_with("//") {
        let help = format!("write \"{scheme}:{}\"", rest.trim_start_matches('/'));
        return Err(("and these URIs have no `//`".to_owned(), Some(help)));
    }
    let (authority, query) = rest.split_once('?').map_or((rest, None), |(a, q)| (a, Some(q)));
    let transport = match query.map(|query| query.strip_prefix("transport=")) {
        None => *usual,
        Some(Some("tcp")) => "tcp",
        Some(Some("udp")) => "udp",
        Some(_) => {
            return Err(("whose transport is not udp or tcp".to_owned(), None));
        }
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, written)) if !written.ends_with(']') => {
            let number = written.parse().ok().filter(|port| *port > 0);
            (host, number.ok_or_else(|| ("whose port is not a number".to_owned(), None))?)
        }
        _ => (authority, *port),
    };
    let host = host_of(host).ok_or_else(|| ("whose host is not valid".to_owned(), None))?;
    Ok(ServiceUri { kind, host, port, transport })
}

/// A domain, or an IP address; one of IPv6 stands in brackets.
fn host_of(text: &str) -> Option<String> {
    if let Some(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return Some(address.parse::<Ipv6Addr>().ok()?.to_string());
    }
    let name = idna::domain_to_ascii(text).ok()?;
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    (is_name && !name.is_empty()).then_some(name)
}

/// The kinds of servers: the scheme, the port, and the transport that is usual.
const SCHEMES: &[(&str, u16, &str)] =
    &[("stun", 3478, "udp"), ("stuns", 5349, "tcp"), ("turn", 3478, "udp"), ("turns", 5349, "tcp")];
/// Servers in all. Clients get all of them in one answer.
const MOST: usize = 32;

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_uri_names_a_server() {
        for (text, wanted) in [
            ("stun:turn.example", "stun:turn.example:3478?transport=udp"),
            ("TURN:Turn.Example:1234", "turn:turn.example:1234?transport=udp"),
            ("turns:turn.example", "turns:turn.example:5349?transport=tcp"),
            ("turn:192.0.2.1?transport=tcp", "turn:192.0.2.1:3478?transport=tcp"),
            ("turn:[2001:DB8::1]:7?transport=udp", "turn:[2001:db8::1]:7?transport=udp"),
            ("stuns:[::1]", "stuns:[::1]:5349?transport=tcp"),
            ("turn:bücher.example", "turn:xn--bcher-kva.example:3478?transport=udp"),
        ] {
            assert_eq!(parse(text).map(|uri| uri.to_string()), Ok(wanted.to_owned()), "{text}");
        }
        for wrong in [
            "turn.example",
            "turn:",
            "turn:a:0",
            "turn:a:65536",
            "turn:a:b",
            "turn:a b",
            "turn://a",
            "turn:user@a",
            "turn:a?transport=sctp",
            "turn:a?x=y",
            "turn:a/b",
            "turn:2001:db8::1",
            "turn:[a]",
            "http:a",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
