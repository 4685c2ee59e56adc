//! Where clients reach the proxy for bytestreams (XEP-0065).

use super::Config;

impl Config {
    /// Host and port of the proxy for bytestreams, as the users of a domain are told. `None` if there is none.
    #[must_use]
    pub fn proxy65(&self, domain: &str) -> Option<(String, u16)> {
        let own = self.listen.proxy65.first().map(|address| address.port());
        let own = own.filter(|port| *port > 0);
        let Some(told) = &self.listen.proxy65_address else {
            let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned());
            return Some((domain, own?));
        };
        let (host, port) = match told.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, port.parse().ok()?)
            }
            _ => (told.as_str(), own.unwrap_or(PORT)),
        };
        // An address of IPv6 stands there without brackets (XEP-0065 §4, RFC 5952).
        Some((host.trim_matches(['[', ']']).to_owned(), port))
    }
}

/// The default port, the same as that of other servers.
const PORT: u16 = 7777;

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn the_address_of_the_proxy_is_that_of_the_host_or_the_configured_one() {
        for (listen, expected) in [
            ("", Some(("xn--mller-kva.example", 7777))),
            ("proxy65 = 1080", Some(("xn--mller-kva.example", 1080))),
            ("proxy65 = []", None),
            ("proxy65 = [\"127.0.0.1:0\"]", None),
            ("proxy65_address = \"192.0.2.1\"", Some(("192.0.2.1", 7777))),
            ("proxy65 = []\nproxy65_address = \"p.example:99\"", Some(("p.example", 99))),
            ("proxy65 = 5\nproxy65_address = \"p.example\"", Some(("p.example", 5))),
            ("proxy65_address = \"[2001:db8::1]:99\"", Some(("2001:db8::1", 99))),
            ("proxy65_address = \"2001:db8::1\"", Some(("2001:db8::1", 7777))),
        ] {
            let text = format!("[listen]\n{listen}\n[[host]]\ndomain = \"müller.example\"\n");
            let found = Config::parse(&text, "test").unwrap().proxy65("müller.example");
            let found = found.as_ref().map(|(host, port)| (host.as_str(), *port));
            assert_eq!(found, expected, "{listen}");
        }
    }
}
