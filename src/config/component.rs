//! `[[component]]`: an external component (XEP-0114), such as a gateway to another network.

use super::error::Problems;
use super::host::HostConfig;
use super::secret::Secret;
use super::section::{Fields, section};
use super::value::{Count, Domain, SecretFile, SecretText, Switch, Text};
use super::{Config, prepare_domain};

section! {
    /// An external component (XEP-0114): a program, such as a gateway to another network, that has a domain of its own and
    /// connects to this server at `listen.components`.
    ///
    /// Repeat the section for each component. Without one, there is none.
    pub struct ComponentConfig = "component";

    /// The domain of the component, for example `irc.example.org`. It is none of a `[[host]]` or of a service.
    domain: String = "irc.example.org".to_owned() => Domain, Reload;

    /// The component has all domains below its own, too.
    subdomains: bool = false => Switch, Reload;

    /// What people see in the list of services.
    name: Option<String> = None => Text("\"IRC\""), Reload;

    /// The secret that the component shares with this server.
    secret: Option<Secret> = None => SecretText("\"${IRC_SECRET}\""), Reload;

    /// A file with this secret, in one line. It is read at the start, and anew by a reload.
    secret_file: Option<Secret> = None => SecretFile("\"/etc/waxwing/irc.secret\""), Reload;

    /// How many connections the component may have at the same time. What is sent to it is shared among them: two
    /// addresses always talk by the same one.
    connections: usize = 1 => Count::between(1, 64), Reload;
}

impl ComponentConfig {
    /// The secret that the component shares with this server. There is one.
    #[must_use]
    pub fn shared_secret(&self) -> Option<&Secret> {
        self.secret.as_ref().or(self.secret_file.as_ref())
    }

    /// Whether this is the domain of the component, or one below it if it has those, too.
    #[must_use]
    pub fn has(&self, domain: &str) -> bool {
        let is_below = || {
            let above = domain.strip_suffix(self.domain.as_str());
            above.is_some_and(|above| above.len() > 1 && above.ends_with('.'))
        };
        domain == self.domain || self.subdomains && is_below()
    }
}

impl Config {
    /// The component that has this prepared domain. If one has it by name, that one.
    #[must_use]
    pub fn component(&self, domain: &str) -> Option<&ComponentConfig> {
        let having = self.components.iter().filter(|component| component.has(domain));
        having.max_by_key(|component| component.domain.len())
    }
}

/// Refuses a component without a secret, or with two.
pub(super) fn check(component: &ComponentConfig, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    let message = match (&component.secret, &component.secret_file) {
        (None, None) => "the component has no secret",
        (Some(_), Some(_)) => "`secret` and `secret_file` are set",
        _ => return,
    };
    let at = fields.key_of("secret").unwrap_or_else(|| fields.at.clone());
    problems.add(&at, message, "add one of `secret` and `secret_file`".to_owned());
}

/// Refuses a domain that is listed twice, or is a host.
pub(super) fn check_all(
    components: &[(ComponentConfig, Fields<'_>)],
    hosts: &[HostConfig],
    problems: &mut Problems<'_>,
) {
    let mut seen = Vec::new();
    for (_, fields) in components {
        // The text in the file is compared: if it is invalid, the component has the default domain.
        let Some(domain) = fields.text_of("domain").and_then(|text| prepare_domain(text).ok())
        else {
            continue;
        };
        let whose = if seen.contains(&domain) {
            "an earlier [[component]]"
        } else if hosts.iter().any(|host| host.domain == domain) {
            "a [[host]]"
        } else {
            seen.push(domain);
            continue;
        };
        problems.add(
            &fields.value_of("domain").unwrap_or_else(|| fields.at.clone()),
            format!("{domain} is the domain of {whose}"),
            "give the component a domain of its own".to_owned(),
        );
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
