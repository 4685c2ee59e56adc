//! Where clients of a host connect over HTTP.

use super::Config;

impl Config {
    /// Where clients of a host connect: by WebSocket (RFC 7395), and over BOSH (XEP-0124). These are the addresses that
    /// are configured (`listen.websocket`, `listen.bosh`), or if there is neither of them, both at the first port of
    /// `listen.https`. They are URIs: names have no letters beyond ASCII in them.
    #[must_use]
    pub fn web_addresses(&self, domain: &str) -> (Option<String>, Option<String>) {
        let listen = &self.listen;
        if listen.websocket.is_some() || listen.bosh.is_some() {
            return (listen.websocket.clone(), listen.bosh.clone());
        }
        let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned());
        let own = listen.https.first().map(|address| format!("{domain}:{}", address.port()));
        let at =
            |scheme: &str, path: &str| own.as_ref().map(|own| format!("{scheme}://{own}{path}"));
        (at("wss", "/ws"), at("https", "/http-bind"))
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn what_is_configured_comes_before_the_own_port() {
        let of = |text: &str| {
            let text = format!("[listen]\n{text}\n[[host]]\ndomain = \"example.org\"\n");
            Config::parse(&text, "test").unwrap().web_addresses("example.org")
        };
        let some = |text: &str| Some(text.to_owned());
        let own = (some("wss://example.org:7443/ws"), some("https://example.org:7443/http-bind"));
        assert_eq!(of(""), own);
        assert_eq!(of("https = []"), (None, None));
        assert_eq!(of("websocket = 'wss://a.example/ws'"), (some("wss://a.example/ws"), None));
        let bosh = "https://a.example/http-bind";
        assert_eq!(of(&format!("https = []\nbosh = '{bosh}'")), (None, some(bosh)));
        let config = Config::parse("[[host]]\ndomain = \"müller.example\"\n", "test").unwrap();
        let (websocket, _) = config.web_addresses("müller.example");
        assert_eq!(websocket, some("wss://xn--mller-kva.example:7443/ws"));
    }
}
