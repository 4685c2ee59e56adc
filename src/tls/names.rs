//! The names of hosts, as certificates and clients write them.

use std::net::IpAddr;

use super::TlsError;

/// The name under which clients ask for a host: lower case, in the ASCII form of DNS. It is also used for
/// file names, so it contains no slash.
pub(super) fn sni_name(domain: &str) -> Result<String, TlsError> {
    let wrong = || TlsError::Domain { domain: domain.to_owned() };
    if ip_of(domain).is_some() {
        return Ok(domain.to_ascii_lowercase());
    }
    let name = idna::domain_to_ascii(domain).map_err(|_| wrong())?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(is_plain) {
        return Err(wrong());
    }
    Ok(name)
}

/// The IP address, if the domain is one: `192.0.2.1` or `[2001:db8::1]` (RFC 7622 §3.2).
pub(super) fn ip_of(domain: &str) -> Option<IpAddr> {
    match domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse().ok().filter(IpAddr::is_ipv6),
        None => domain.parse().ok().filter(IpAddr::is_ipv4),
    }
}
