//! Selects the certificate for a client that names a host.

use super::host::Host;

/// The host for a server name (SNI, RFC 6066 §3). Clients send a served domain or the target of its SRV
/// records.
///
/// The target of an SRV record is recognised by a certificate that names it, or as a subdomain of a served
/// domain. For all other names the first host is used: the stream error `host-unknown` is clearer than a
/// failed handshake.
pub(super) fn by_sni<'a>(hosts: &'a [Host], sni: Option<&str>) -> &'a Host {
    let Some(name) = sni else { return &hosts[0] };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let is_below =
        |host: &&Host| name.strip_suffix(&*host.name).is_some_and(|rest| rest.ends_with('.'));
    let served = hosts.iter().find(|host| host.name == name);
    served
        .or_else(|| hosts.iter().find(|host| host.leaf.covers(&name, &name)))
        .or_else(|| hosts.iter().filter(is_below).max_by_key(|host| host.name.len()))
        .unwrap_or(&hosts[0])
}
