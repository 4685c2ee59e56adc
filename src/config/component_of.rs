//! Which component has a domain; and a component alone.

use super::Config;
use super::component::ComponentConfig;

impl Config {
    /// The component that has this prepared domain. If one has it by name, that one.
    #[must_use]
    pub fn component(&self, domain: &str) -> Option<&ComponentConfig> {
        let having = self.components.iter().filter(|component| component.has(domain));
        having.max_by_key(|component| component.domain.len())
    }
}

impl ComponentConfig {
    /// Reads a section `[[component]]`, as it is written in the configuration. Variables are not replaced.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn parse(section: &str) -> Result<Self, String> {
        let config = super::read::parse(section, "the component", &|_| None);
        let config = config.map_err(|problems| problems.to_string())?;
        config.components.into_iter().next().ok_or_else(|| "there is no component".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    fn read(text: &str) -> Result<Config, String> {
        Config::parse(text, "test").map_err(|errors| errors.to_string())
    }

    #[test]
    fn a_component_has_its_domain_and_those_below_if_it_wants() {
        let config = read(
            "[[component]]\ndomain = 'irc.example.org'\nsecret = 'a long secret'\nsubdomains = true\n\
             [[component]]\ndomain = 'libera.irc.example.org'\nsecret = 'a long secret'\n",
        );
        let config = config.unwrap();
        for (domain, expected) in [
            ("irc.example.org", Some("irc.example.org")),
            ("oftc.irc.example.org", Some("irc.example.org")),
            ("a.b.irc.example.org", Some("irc.example.org")),
            ("libera.irc.example.org", Some("libera.irc.example.org")),
            ("a.libera.irc.example.org", Some("irc.example.org")),
            ("xirc.example.org", None),
            (".irc.example.org", None),
            ("example.org", None),
        ] {
            let found = config.component(domain).map(|component| component.domain.as_str());
            assert_eq!(found, expected, "{domain}");
        }
    }

    #[test]
    fn a_component_has_one_secret_and_a_domain_of_its_own() {
        let one = "[[component]]\ndomain = 'irc.localhost'\n";
        for (text, expected) in [
            (one.to_owned(), "the component has no secret"),
            (format!("{one}secret = 'a'\nsecret_file = '/proc/version'\n"), "are set"),
            ("[[component]]\nsecret = 'a'\n".to_owned(), "`domain` is missing"),
            (
                "[[component]]\ndomain = 'localhost'\nsecret = 'a'\n".to_owned(),
                "localhost is the domain of a [[host]]",
            ),
            (format!("{one}secret = 'a'\n").repeat(2), "an earlier [[component]]"),
        ] {
            let problem = read(&text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }

    #[test]
    fn what_a_component_may_do_is_checked() {
        let one = "[[component]]\ndomain = 'irc.localhost'\nsecret = 'a'\n";
        for (line, expected) in [
            ("presence = 'roster'", "may not get rosters"),
            ("presence = 'roster'\nroster = 'set'", "may not get rosters"),
            ("roster = 'all'", "`roster`"),
            ("iq = { 'a' = 'all' }", "has \"all\" for \"a\""),
            ("iq = { '' = 'get' }", "has an empty namespace"),
            ("iq = 'a'", "must be a table of namespaces"),
            ("delegate = { 'urn:xmpp:delegation:2' = [] }", "cannot be delegated"),
            ("delegate = { 'a' = [''] }", "has an empty attribute"),
            ("delegate = ['a']", "must be a table of namespaces"),
        ] {
            let problem = read(&format!("{one}{line}\n")).unwrap_err();
            assert!(problem.contains(expected), "{line}: {problem}");
        }
        let text = "roster = 'get'\npresence = 'roster'\niq = { 'b' = 'both' }\n\
                    delegate = { 'c' = ['d', 'e'], 'f' = [] }\n";
        let config = read(&format!("{one}{text}")).unwrap();
        let component = config.component("irc.localhost").unwrap();
        assert!(component.requests("b").allow(crate::stanza::IqKind::Set));
        assert!(!component.requests("c").allow(crate::stanza::IqKind::Get));
        assert!(component.is_pushed() && component.delegate.len() == 2);
    }

    #[test]
    fn the_port_is_open_if_there_is_a_component() {
        let ports = |text: &str| {
            let text = format!("{text}\n[[component]]\ndomain = 'irc.localhost'\nsecret = 'a'\n");
            read(&text).unwrap().listen.components.iter().map(|a| a.port()).collect::<Vec<_>>()
        };
        assert_eq!(ports(""), [5347, 5347]);
        assert_eq!(ports("listen.components = 5275"), [5275]);
        assert!(ports("listen.components = []").is_empty());
        assert!(read("").unwrap().listen.components.is_empty());
    }
}
