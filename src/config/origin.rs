//! The origin of a web page (RFC 6454).

use std::net::Ipv6Addr;

/// The origin in the form that browsers send (RFC 6454 §6.2), so that two texts for one origin
/// become the same: scheme and host in lower case, international names as A-labels, no default port
/// and no slash at the end. `null` is the origin of a page without one, such as a local file.
///
/// `None` if the text is not an origin, because it has a path or a user name, or is only a host.
#[must_use]
pub fn origin(text: &str) -> Option<String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("null") {
        return Some("null".to_owned());
    }
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !is_scheme {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    let authority = rest.trim_end_matches('/');
    // The colons of an IPv6 address stand in brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => format!("[{}]", address.parse::<Ipv6Addr>().ok()?),
        None => name(host)?,
    };
    match port {
        "" => Some(format!("{scheme}://{host}")),
        _ if !port.bytes().all(|byte| byte.is_ascii_digit()) => None,
        _ => match (scheme.as_str(), port.parse::<u16>().ok()?) {
            ("http" | "ws", 80) | ("https" | "wss", 443) => Some(format!("{scheme}://{host}")),
            (_, port) => Some(format!("{scheme}://{host}:{port}")),
        },
    }
}

/// A name, or an IPv4 address.
fn name(host: &str) -> Option<String> {
    let name = idna::domain_to_ascii(host).ok()?;
    let is_name =
        name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    (is_name && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn an_origin_is_compared_as_an_origin() {
        let table = [
            ("https://chat.example", Some("https://chat.example")),
            ("HTTPS://Chat.Example", Some("https://chat.example")),
            ("https://chat.example/", Some("https://chat.example")),
            ("https://chat.example:443", Some("https://chat.example")),
            ("https://chat.example:443/", Some("https://chat.example")),
            ("http://chat.example:80", Some("http://chat.example")),
            ("http://chat.example:443", Some("http://chat.example:443")),
            ("https://chat.example:8443", Some("https://chat.example:8443")),
            ("https://chat.example:08443", Some("https://chat.example:8443")),
            ("https://bücher.example", Some("https://xn--bcher-kva.example")),
            ("https://192.0.2.1:443", Some("https://192.0.2.1")),
            ("http://[2001:DB8:0::1]:80", Some("http://[2001:db8::1]")),
            ("http://[::1]", Some("http://[::1]")),
            ("capacitor://localhost", Some("capacitor://localhost")),
            ("null", Some("null")),
            ("chat.example", None),
            ("https://", None),
            ("https:///", None),
            ("https://chat.example/page", None),
            ("https://user@chat.example", None),
            ("https://chat.example:http", None),
            ("https://chat.example:65536", None),
            ("https://[chat.example]", None),
            ("https://a.example https://b.example", None),
            ("*", None),
        ];
        for (text, wanted) in table {
            assert_eq!(origin(text).as_deref(), wanted, "{text}");
        }
    }
}
