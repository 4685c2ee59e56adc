//! Where the files of users are, on the disk and on the web, and where our pages are.

use std::path::PathBuf;

use super::Config;

impl Config {
    /// The directory for the files of users.
    #[must_use]
    pub fn files_directory(&self) -> PathBuf {
        self.files.directory.clone().unwrap_or_else(|| self.data.join("files"))
    }

    /// Where clients reach the HTTP service from outside, for a host: without a `/` at the end. `None` if there is no
    /// such address, or files are switched off.
    #[must_use]
    pub fn files_url(&self, domain: &str) -> Option<String> {
        if !self.files.enabled {
            return None;
        }
        if let Some(url) = &self.files.url {
            return Some(url.trim_end_matches('/').to_owned());
        }
        self.own_url(domain)
    }

    /// Where browsers reach our pages from outside, for a host: without a `/` at the end. `None` if there is no such
    /// address.
    #[must_use]
    pub fn pages_url(&self, domain: &str) -> Option<String> {
        let configured = |url: &String| url.trim_end_matches('/').to_owned();
        // The links between pages begin at the root.
        let has_no_path = |url: &String| url.matches('/').count() == 2;
        let of_files = || self.files.url.as_ref().map(configured).filter(has_no_path);
        let own = || self.own_url(domain).or_else(of_files);
        self.invitations.url.as_ref().map(configured).or_else(own)
    }

    /// Our own port for HTTPS, at a host.
    fn own_url(&self, domain: &str) -> Option<String> {
        let port = self.listen.https.first()?.port();
        // The system chooses a port, and nobody knows it before.
        let port = Some(port).filter(|port| *port > 0)?;
        let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned());
        Some(match port {
            443 => format!("https://{domain}"),
            port => format!("https://{domain}:{port}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn the_address_of_files_is_that_of_the_host_or_the_configured_one() {
        let url = |text: &str, domain| {
            let text = format!("{text}\n[[host]]\ndomain = \"example.org\"\n");
            Config::parse(&text, "test").unwrap().files_url(domain)
        };
        let https = "listen.https = [\"192.0.2.1:";
        for (text, expected) in [
            ("", Some("https://example.org:7443")),
            (&format!("{https}443\"]"), Some("https://example.org")),
            ("listen.https = []", None),
            ("files.url = \"https://f.example\"", Some("https://f.example")),
            (
                "listen.https = []\nfiles.url = \"https://f.example/x/\"",
                Some("https://f.example/x"),
            ),
            ("files.enabled = false", None),
        ] {
            assert_eq!(url(text, "example.org").as_deref(), expected, "{text}");
        }
        let idn = url("", "müller.example");
        assert_eq!(idn.as_deref(), Some("https://xn--mller-kva.example:7443"));
    }

    #[test]
    fn the_address_of_pages_is_configured_or_our_own_or_that_of_files() {
        let url = |text: &str| {
            let text = format!("{text}\n[[host]]\ndomain = \"example.org\"\n");
            Config::parse(&text, "test").unwrap().pages_url("example.org")
        };
        let files = "files.url = \"https://f.example/\"";
        for (text, expected) in [
            (String::new(), Some("https://example.org:7443")),
            (files.to_owned(), Some("https://example.org:7443")),
            (format!("listen.https = []\n{files}"), Some("https://f.example")),
            ("listen.https = []".to_owned(), None),
            ("listen.https = []\nfiles.url = \"https://f.example/x\"".to_owned(), None),
            ("invitations.url = \"https://c.example/\"".to_owned(), Some("https://c.example")),
        ] {
            assert_eq!(url(&text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_address_of_pages_has_no_path() {
        let problem = Config::parse("invitations.url = \"https://c.example/chat\"", "test");
        let problem = problem.unwrap_err().to_string();
        assert!(
            problem.contains("has a path") && problem.contains("https://c.example\""),
            "{problem}"
        );
        assert!(Config::parse("invitations.url = \"https://[2001:db8::1]:8443/\"", "test").is_ok());
    }

    #[test]
    fn an_address_of_files_begins_with_https() {
        for wrong in ["http://f.example", "https://", "f.example", "https://f.example/?a=b", ""] {
            let text = format!("files.url = \"{wrong}\"");
            let problem = Config::parse(&text, "test").unwrap_err().to_string();
            assert!(problem.contains("`url` "), "{wrong}: {problem}");
        }
    }
}
