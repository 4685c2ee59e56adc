//! Where browsers and files are found: host-meta (XEP-0156), and the addresses that clients are told.

use std::net::{IpAddr, SocketAddr};

use super::found::Level;
use super::look::Look;
use super::outside::{Kind, Refusal, Seen};

impl Look<'_, '_> {
    /// Host-meta of the domain, and each address of HTTPS that clients are told.
    pub(super) async fn web(&mut self) {
        let (websocket, bosh) = self.config().web_addresses(self.domain);
        let has_any = websocket.is_some() || bosh.is_some();
        let files = self.config().files_url(self.domain);
        let all = [("browsers", websocket), ("browsers", bosh), ("files", files)];
        let mut seen: Vec<(String, u16)> = Vec::new();
        for (what, url) in all {
            let Some(url) = url else { continue };
            let Some((host, port)) = authority(&url) else { continue };
            if seen.contains(&(host.clone(), port)) {
                continue;
            }
            self.https(what, &url, &host, port).await;
            seen.push((host, port));
        }
        self.pages(&seen).await;
        if has_any {
            self.host_meta().await;
        }
    }

    /// The address in the links of invitations. `seen`: hosts and ports that were looked at already.
    async fn pages(&mut self, seen: &[(String, u16)]) {
        let Some(url) = self.config().pages_url(self.domain) else { return };
        let Some((host, port)) = authority(&url) else { return };
        if !seen.contains(&(host.clone(), port)) {
            self.https("browsers", &url, &host, port).await;
        }
        let Some(first) = self.find(&host).await.and_then(|found| found.first().copied()) else {
            return;
        };
        let kind = Kind::Https { host: &host, path: Some(STYLE) };
        let Ok(found) = self.all.connect(SocketAddr::new(first, port), kind).await else { return };
        let text = match found.answer.unwrap_or_default() {
            (200, answer) if answer.contains("text/css") => {
                return self
                    .say(Level::Ok, format!("{url} has the pages of invitations and accounts"));
            }
            (status, _) => format!(
                "{url}{STYLE} is not that of this server (status {status}): links of invitations do not work. Let the \
                 web server of {host} pass on the paths of the pages (docs/invitations.md), or set `invitations.url`"
            ),
        };
        self.say(Level::Warning, text);
    }

    async fn https(&mut self, what: &str, url: &str, host: &str, port: u16) {
        let Some(found) = self.find(host).await else { return };
        if found.is_empty() {
            self.records.address(host, false);
            self.records.address(host, true);
            let text = format!("{host} has no address, but {what} are sent to {url}");
            return self.say(Level::Missing, text);
        }
        self.both_kinds(host, &found);
        for address in found {
            let address = SocketAddr::new(address, port);
            let kind = Kind::Https { host, path: None };
            if let Some(seen) = self.look_at(host, address, kind, "a web server").await {
                self.judge_web(host, port, &seen);
            }
        }
    }

    /// What browsers read to find the server (XEP-0156 §3). They ask the domain itself, at port 443.
    async fn host_meta(&mut self) {
        let domain = self.ascii;
        let Some(found) = self.find(domain).await else { return };
        let url = format!("https://{domain}{HOST_META}");
        let Some(first) = found.first() else {
            let text = format!(
                "{domain} has no address: clients in browsers cannot read {url}, and do not find this server by its \
                 domain"
            );
            return self.say(Level::Warning, text);
        };
        let kind = Kind::Https { host: domain, path: Some(HOST_META) };
        let address = SocketAddr::new(*first, 443);
        let (status, answer) = match self.all.connect(address, kind).await {
            Ok(seen) => {
                self.judge_web(domain, 443, &seen);
                seen.answer.unwrap_or_default()
            }
            Err(Refusal::Closed(why) | Refusal::Other(why)) => {
                let text = format!(
                    "{url} cannot be read ({why}): clients in browsers do not find this server by its domain. Let a web \
                     server of {domain} pass this path on to this server, or tell the clients the address"
                );
                return self.say(Level::Warning, text);
            }
        };
        let text = match status {
            200 if answer.contains("urn:xmpp:alt-connections:") => {
                return self.say(Level::Ok, format!("{url} says where browsers connect"));
            }
            200 => format!("{url} is not that of this server: it names no way to connect"),
            300..=399 => format!(
                "{url} leads elsewhere ({status}): look whether what is there is that of this server"
            ),
            _ => format!(
                "{url} answers {status}: let the web server of {domain} pass it on to this server, so that clients in \
                 browsers find it"
            ),
        };
        self.say(Level::Warning, text);
    }

    /// The proxy for files from client to client (XEP-0065).
    pub(super) async fn proxy(&mut self) {
        let Some((host, port)) = self.config().proxy65(self.domain) else { return };
        let found = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => match self.find(&host).await {
                Some(found) => found,
                None => return,
            },
        };
        if found.is_empty() {
            let text = format!(
                "{host} has no address, but clients are sent there for the proxy for files (XEP-0065)"
            );
            return self.say(Level::Warning, text);
        }
        for address in found {
            let address = SocketAddr::new(address, port);
            self.look_at(&host, address, Kind::Plain, "a proxy").await;
        }
    }

    fn judge_web(&mut self, host: &str, port: u16, seen: &Seen) {
        let fault = seen.certificate.check_for_clients(host).err();
        self.judge(host, port, host, "browsers", fault, seen);
    }

    async fn find(&mut self, name: &str) -> Option<Vec<IpAddr>> {
        if let Ok(address) = name.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Some(vec![address]);
        }
        let found = self.outside().addresses(name).await.ok();
        if found.is_none() {
            self.say(Level::NotChecked, format!("the DNS does not answer for {name}"));
        }
        found
    }
}

/// Host and port of an address with TLS.
fn authority(url: &str) -> Option<(String, u16)> {
    let (_, rest) = url.split_once("://")?;
    let own = rest.split('/').next()?;
    let (host, port) = match own.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (own, 443),
    };
    Some((idna::domain_to_ascii(host).unwrap_or_else(|_| host.to_owned()), port))
}

/// The one page that is always there.
const STYLE: &str = "/pages.css";
const HOST_META: &str = "/.well-known/host-meta";

#[cfg(test)]
mod tests {
    use super::authority;

    #[test]
    fn the_host_and_the_port_of_an_address_are_found() {
        for (url, expected) in [
            ("https://a.example/x", Some(("a.example", 443))),
            ("wss://a.example:7443/ws", Some(("a.example", 7443))),
            ("wss://müller.example/ws", Some(("xn--mller-kva.example", 443))),
            ("https://[2001:db8::1]/x", Some(("[2001:db8::1]", 443))),
            ("https://[2001:db8::1]:99", Some(("[2001:db8::1]", 99))),
            ("a.example", None),
            ("https://a.example:x", None),
        ] {
            let found = authority(url);
            let found = found.as_ref().map(|(host, port)| (host.as_str(), *port));
            assert_eq!(found, expected, "{url}");
        }
    }
}
