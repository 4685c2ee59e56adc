//! Where the files of users are: on the disk, and on the web.

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
    fn an_address_of_files_begins_with_https() {
        for wrong in ["http://f.example", "https://", "f.example", "https://f.example/?a=b", ""] {
            let text = format!("files.url = \"{wrong}\"");
            let problem = Config::parse(&text, "test").unwrap_err().to_string();
            assert!(problem.contains("`url` "), "{wrong}: {problem}");
        }
    }
}
