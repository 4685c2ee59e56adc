//! Other servers: patterns for domains, and fixed addresses.

use std::net::{IpAddr, SocketAddr};

use toml::de::DeValue;

use super::list::{array, each};
use super::{Kind, Refusal, Value, inline_table, quote, refuse, wrong_type};
use crate::config::prepare_domain;

/// A list of domains, each of which may begin with `*.`.
pub(in crate::config) struct DomainPatterns;

impl Kind<Vec<String>> for DomainPatterns {
    fn describe(&self) -> String {
        "a list of domains, for example `[\"example.net\", \"*.example.com\"]`".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Vec<String>, Vec<Refusal>> {
        each(value, |item| {
            let help = "write for example [\"example.net\"]";
            let Some(text) = item.get_ref().as_str() else {
                return wrong_type(item, "a list of domains", help);
            };
            let (star, domain) = match text.strip_prefix("*.") {
                Some(rest) => ("*.", rest),
                None => ("", text),
            };
            match prepare_domain(domain) {
                Ok(domain) => Ok(format!("{star}{domain}")),
                Err(help) => {
                    refuse(item, format!("has {}, which is not a domain", quote(text)), help)
                }
            }
        })
    }

    fn write(&self, value: &Vec<String>) -> Option<String> {
        Some(array(value))
    }
}

/// Where the server of a domain is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StaticHost {
    /// The domain, prepared.
    pub domain: String,
    /// Where its server listens.
    pub address: SocketAddr,
    /// TLS begins with the first byte (XEP-0368).
    pub is_direct: bool,
}

/// A table of domains and addresses.
pub(in crate::config) struct StaticHosts;

impl Kind<Vec<StaticHost>> for StaticHosts {
    fn describe(&self) -> String {
        "a table of domains and addresses, for example `{ \"example.net\" = \"192.0.2.7:5269\" }`"
            .to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Vec<StaticHost>, Vec<Refusal>> {
        let help = "write for example { \"example.net\" = \"192.0.2.7:5269\" }";
        let DeValue::Table(table) = value.get_ref() else {
            return wrong_type(value, "a table of domains and addresses", help);
        };
        let (mut hosts, mut refusals) = (Vec::new(), Vec::new());
        for (key, value) in table {
            let domain = prepare_domain(key.get_ref());
            let text = value.get_ref().as_str().unwrap_or_default();
            let (rest, is_direct) = match text.strip_prefix("tls://") {
                Some(rest) => (rest, true),
                None => (text, false),
            };
            match (domain, rest.parse()) {
                (Ok(domain), Ok(address)) => hosts.push(StaticHost { domain, address, is_direct }),
                (Err(help), _) => refusals.push(Refusal {
                    at: key.span(),
                    message: format!("has {}, which is not a domain", quote(key.get_ref())),
                    help: Some(help),
                }),
                (_, Err(_)) => refusals.push(Refusal {
                    at: value.span(),
                    message: format!("has {}, which is not an address", quote(text)),
                    help: Some(
                        "write an IP address and a port, for example \"192.0.2.7:5269\"".to_owned(),
                    ),
                }),
            }
        }
        if refusals.is_empty() { Ok(hosts) } else { Err(refusals) }
    }

    fn write(&self, value: &Vec<StaticHost>) -> Option<String> {
        let one = |host: &StaticHost| {
            let scheme = if host.is_direct { "tls://" } else { "" };
            format!("{} = \"{scheme}{}\"", quote(&host.domain), host.address)
        };
        Some(inline_table(&value.iter().map(one).collect::<Vec<_>>()))
    }
}

/// A server for DNS: an IP address, with a port if it is not 53. It is optional.
pub(in crate::config) struct NameServer;

impl Kind<Option<SocketAddr>> for NameServer {
    fn describe(&self) -> String {
        "an IP address, with or without a port".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Option<SocketAddr>, Vec<Refusal>> {
        let help = "write for example \"127.0.0.1\" or \"127.0.0.1:5353\"";
        let Some(text) = value.get_ref().as_str() else {
            return wrong_type(value, "an IP address", help);
        };
        let alone = text.parse().map(|ip: IpAddr| SocketAddr::new(ip, DNS));
        match alone.or_else(|_| text.parse()) {
            Ok(address) if address.port() > 0 => Ok(Some(address)),
            _ => refuse(value, format!("is not an IP address: {}", quote(text)), help.to_owned()),
        }
    }

    fn write(&self, value: &Option<SocketAddr>) -> Option<String> {
        value.map(|address| match address.port() {
            DNS => format!("\"{}\"", address.ip()),
            _ => format!("\"{address}\""),
        })
    }

    fn example(&self) -> Option<&'static str> {
        Some("\"127.0.0.1\"")
    }
}

/// The port for DNS.
const DNS: u16 = 53;
