//! The rules of federation: to which domains we talk, and what a server must prove.

use std::sync::Arc;

use rustc_hash::FxHashSet;
use smol_str::SmolStr;

use super::resolve::ip_of;
use crate::config::{Config, S2sPolicy};
use crate::host::RemoteRule;

/// A snapshot of the rules.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    ours: Arc<FxHashSet<SmolStr>>,
    config: Arc<Config>,
    exceptions: Arc<Vec<RemoteRule>>,
    is_dns_signed: bool,
}

impl Rules {
    /// `ours`: the domains that this server answers for. `exceptions`: what commands have allowed or denied. `is_dns_signed`:
    /// signatures of the DNS can be checked.
    pub(super) fn new(
        ours: Arc<FxHashSet<SmolStr>>,
        config: Arc<Config>,
        exceptions: Arc<Vec<RemoteRule>>,
        is_dns_signed: bool,
    ) -> Self {
        Self { ours, config, exceptions, is_dns_signed }
    }

    /// Whether the domain is ours: of a host, of a service, or of an external component.
    pub(super) fn is_ours(&self, domain: &str) -> bool {
        self.ours.contains(domain) || self.config.component(domain).is_some()
    }

    /// The domain in whose name we speak before a peer has named one.
    pub(super) fn default_domain(&self) -> &str {
        self.config.default_domain()
    }

    /// Whether we talk to this domain at all. First counts what an administrator has set by command for the domain itself,
    /// then for the nearest domain above, then the configuration.
    pub(super) fn may_talk(&self, domain: &str) -> bool {
        if let Some(exception) = self.exception(domain) {
            return exception.is_allowed;
        }
        let lists = &self.config.s2s;
        !matches(&lists.deny, domain) && (lists.allow.is_empty() || matches(&lists.allow, domain))
    }

    /// What an administrator has set by command for this domain.
    pub(super) fn exception(&self, domain: &str) -> Option<&RemoteRule> {
        let all = self.exceptions.iter().filter(|rule| is_of(&rule.pattern, domain));
        all.max_by_key(|rule| (!rule.pattern.starts_with("*."), rule.pattern.len()))
    }

    /// Whether the signed DNS is asked for certificates of this domain that are not valid otherwise (DANE). It knows nothing of
    /// addresses, names of the local network, and domains whose servers are configured.
    pub(super) fn has_dane(&self, domain: &str) -> bool {
        self.config.s2s.dane && self.is_dns_signed && self.is_in_public(domain)
    }

    /// Whether the web site of this domain is asked for certificates that are not valid otherwise (POSH). For the same domains,
    /// and for those whose web sites are configured.
    pub(super) fn has_posh(&self, domain: &str) -> bool {
        let s2s = &self.config.s2s;
        let is_site_configured = || s2s.posh_hosts.iter().any(|host| host.domain == domain);
        s2s.posh && (self.is_in_public(domain) || is_site_configured())
    }

    /// Whether somebody is asked for certificates of this domain that are not valid otherwise.
    pub(super) fn may_be_named(&self, domain: &str) -> bool {
        self.has_dane(domain) || self.has_posh(domain)
    }

    fn is_in_public(&self, domain: &str) -> bool {
        let is_configured = || self.config.s2s.hosts.iter().any(|host| host.domain == domain);
        domain.contains('.') && ip_of(domain).is_none() && !is_configured()
    }

    /// Whether dialback is enough to prove this domain. Otherwise a certificate is needed that is valid for it.
    pub(super) fn is_dialback_enough(&self, domain: &str) -> bool {
        let lists = &self.config.s2s;
        !matches(&lists.secure, domain)
            && (lists.policy == S2sPolicy::Dialback || matches(&lists.dialback, domain))
    }
}

/// Whether a pattern of the list stands for the domain: `example.net`, or `*.example.net` for it and all below it.
fn matches(list: &[String], domain: &str) -> bool {
    list.iter().any(|pattern| is_of(pattern, domain))
}

fn is_of(pattern: &str, domain: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern == domain,
        Some(parent) => {
            domain.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
    }
}

#[cfg(test)]
impl Rules {
    /// Of a server with the hosts `a.example` and `b.example`, whose section `[s2s]` is this text.
    pub(super) fn for_tests(text: &str) -> Self {
        let text = format!("[s2s]\n{text}\n[[host]]\ndomain = 'a.example'\n");
        let config = Config::parse(&text, "the test").expect("the text is right");
        let ours = ["a.example", "b.example", "rooms.a.example"].map(SmolStr::new);
        Self::new(Arc::new(ours.into_iter().collect()), Arc::new(config), Arc::default(), true)
    }

    /// The same with what commands have said.
    fn with(mut self, exceptions: &[(&str, bool)]) -> Self {
        let rule = |(pattern, is_allowed): &(&str, bool)| RemoteRule {
            pattern: (*pattern).to_owned(),
            is_allowed: *is_allowed,
        };
        self.exceptions = Arc::new(exceptions.iter().map(rule).collect());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Rules;

    #[test]
    fn a_pattern_stands_for_a_domain_and_all_below_it() {
        let rules = Rules::for_tests("deny = ['bad.example', '*.evil.example']");
        for (domain, may) in [
            ("c.example", true),
            ("bad.example", false),
            ("rooms.bad.example", true),
            ("evil.example", false),
            ("rooms.evil.example", false),
            ("notevil.example", true),
        ] {
            assert_eq!(rules.may_talk(domain), may, "{domain}");
        }
        let rules = Rules::for_tests("allow = '*.c.example'\ndeny = 'x.c.example'");
        assert!(rules.may_talk("c.example") && rules.may_talk("rooms.c.example"));
        assert!(!rules.may_talk("d.example") && !rules.may_talk("x.c.example"));
    }

    #[test]
    fn what_a_command_has_said_counts_more_than_the_configuration() {
        let said = [
            ("*.evil.example", false),
            ("good.evil.example", true),
            ("*.very.good.evil.example", false),
            ("bad.example", true),
        ];
        let rules = Rules::for_tests("deny = 'bad.example'").with(&said);
        for (domain, may) in [
            ("c.example", true),
            ("bad.example", true),
            ("evil.example", false),
            ("good.evil.example", true),
            ("x.good.evil.example", false),
            ("very.good.evil.example", false),
        ] {
            assert_eq!(rules.may_talk(domain), may, "{domain}");
        }
        let rules = Rules::for_tests("allow = 'c.example'").with(&[("d.example", true)]);
        assert!(rules.may_talk("c.example") && rules.may_talk("d.example"));
        assert!(!rules.may_talk("e.example"));
    }

    #[test]
    fn the_signed_dns_is_asked_where_it_may_know_something() {
        let rules = Rules::for_tests("hosts = { 'fixed.example' = '192.0.2.1:7' }");
        for (domain, is_asked) in [
            ("c.example", true),
            ("x.fixed.example", true),
            ("fixed.example", false),
            ("localhost", false),
            ("192.0.2.1", false),
            ("[2001:db8::1]", false),
        ] {
            assert_eq!(rules.has_dane(domain), is_asked, "{domain}");
        }
        assert!(!Rules::for_tests("dane = false").has_dane("c.example"));
        assert!(!Rules { is_dns_signed: false, ..rules }.has_dane("c.example"));
    }

    #[test]
    fn dialback_is_enough_only_where_the_operator_says_so() {
        let rules = Rules::for_tests("dialback = '*.c.example'\nsecure = 'x.c.example'");
        assert!(rules.is_dialback_enough("c.example") && rules.is_dialback_enough("y.c.example"));
        assert!(!rules.is_dialback_enough("d.example") && !rules.is_dialback_enough("x.c.example"));
        let rules = Rules::for_tests("policy = 'dialback'\nsecure = 'c.example'");
        assert!(rules.is_dialback_enough("d.example") && !rules.is_dialback_enough("c.example"));
        assert!(rules.is_ours("rooms.a.example") && !rules.is_ours("rooms.b.example"));
    }
}
