//! Addresses to listen on.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use toml::de::DeValue;

use super::list::each;
use super::number::{is_negative, plain};
use super::{Kind, Refusal, Value, quote, refuse, wrong_type};

/// Addresses to listen on: one or a list of `"[::]:5222"`, `"127.0.0.1:5222"` or a bare port.
pub(in crate::config) struct Addresses;

impl Kind<Vec<SocketAddr>> for Addresses {
    fn describe(&self) -> String {
        "a list of addresses with ports; an empty list means not to listen".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Vec<SocketAddr>, Vec<Refusal>> {
        let Some(list) = value.get_ref().as_array() else {
            return address(value).map(|address| vec![address]);
        };
        let (mut addresses, mut refusals) = (Vec::new(), Vec::new());
        for item in list.iter() {
            match address(item) {
                // Port 0 means any free port, another one each time.
                Ok(address) if address.port() != 0 && addresses.contains(&address) => {
                    refusals.push(Refusal {
                        at: item.span(),
                        message: format!("has {address} twice"),
                        help: Some("remove one of them".to_owned()),
                    });
                }
                Ok(address) => addresses.push(address),
                Err(refused) => refusals.extend(refused),
            }
        }
        if refusals.is_empty() { Ok(addresses) } else { Err(refusals) }
    }

    fn write(&self, value: &Vec<SocketAddr>) -> Option<String> {
        let all: Vec<_> = value.iter().map(|address| format!("\"{address}\"")).collect();
        Some(format!("[{}]", all.join(", ")))
    }
}

fn address(value: &Value<'_>) -> Result<SocketAddr, Vec<Refusal>> {
    let everywhere = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let text = match value.get_ref() {
        DeValue::Integer(_) => {
            let port = u16::try_from(plain(value)).ok().filter(|_| !is_negative(value));
            let help = || "a port is a number from 0 to 65535".to_owned();
            let refused = || refuse(value, "has a number that is not a port", help());
            return port.map(everywhere).map_or_else(refused, Ok);
        }
        DeValue::String(text) => text.trim(),
        _ => return wrong_type(value, "a list of addresses", "write for example [\"[::]:5222\"]"),
    };
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(port) = text.parse() {
        return Ok(everywhere(port));
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let help = match (bare, text.rsplit_once(':')) {
        (Ok(ip), _) => {
            format!("write it with a port, for example \"{}\"", SocketAddr::new(ip, 5222))
        }
        (_, Some(("*" | "", port))) => format!("for all interfaces write \"[::]:{port}\""),
        (_, Some(("localhost", port))) => format!("write [\"127.0.0.1:{port}\", \"[::1]:{port}\"]"),
        _ => "write an IP address and a port, for example \"192.0.2.7:5222\" or \"[::]:5222\""
            .to_owned(),
    };
    refuse(value, format!("has {}, which is not an address", quote(text)), help)
}

/// Machines: IP addresses or networks.
pub(in crate::config) struct Machines;

impl Kind<Vec<IpNet>> for Machines {
    fn describe(&self) -> String {
        "a list of IP addresses, and of networks such as `\"10.0.0.0/8\"` or `\"fd00::/8\"`"
            .to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Vec<IpNet>, Vec<Refusal>> {
        each(value, |item| {
            let help = "write for example \"127.0.0.1\" or \"10.0.0.0/8\"".to_owned();
            let Some(text) = item.get_ref().as_str().map(str::trim) else {
                return wrong_type(item, "a list of IP addresses and networks", help);
            };
            if let Ok(address) = text.parse::<IpAddr>() {
                return Ok(address.to_canonical().into());
            }
            match text.parse::<IpNet>() {
                Ok(network) if network.addr() == network.network() => Ok(network),
                Ok(network) => {
                    let message =
                        format!("has {}, which is in the middle of a network", quote(text));
                    refuse(item, message, format!("write \"{}\"", network.trunc()))
                }
                Err(_) => {
                    let message = format!("has {}, which is no IP address", quote(text));
                    refuse(item, message, help)
                }
            }
        })
    }

    fn write(&self, value: &Vec<IpNet>) -> Option<String> {
        let one = |network: &IpNet| match network.prefix_len() == network.max_prefix_len() {
            true => format!("\"{}\"", network.addr()),
            false => format!("\"{network}\""),
        };
        Some(format!("[{}]", value.iter().map(one).collect::<Vec<_>>().join(", ")))
    }
}

/// A host name or an address, with or without a port. It is optional.
pub(in crate::config) struct Location;

impl Kind<Option<String>> for Location {
    fn describe(&self) -> String {
        "a host or an address, with or without a port".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Option<String>, Vec<Refusal>> {
        let help = "write for example \"node1.example.org:5222\"";
        let Some(text) = value.get_ref().as_str() else {
            return wrong_type(value, "a host", help);
        };
        let host = match text.rsplit_once(':') {
            _ if text.parse::<IpAddr>().is_ok() => text,
            Some((host, port)) if port.parse::<u16>().is_ok_and(|port| port > 0) => host,
            Some(_) => "",
            None => text,
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_address = bare.unwrap_or(host).parse::<IpAddr>().is_ok();
        let is_name = !host.is_empty()
            && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'));
        if is_address || is_name {
            return Ok(Some(text.to_owned()));
        }
        refuse(value, format!("is not a host or an address: {}", quote(text)), help.to_owned())
    }

    fn write(&self, value: &Option<String>) -> Option<String> {
        value.as_deref().map(quote)
    }

    fn example(&self) -> Option<&'static str> {
        Some("\"node1.example.org:5222\"")
    }
}
