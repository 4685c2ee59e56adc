//! What is looked for, for each domain.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::found::{Level, Line, Report};
use super::outside::{Kind, Outside, Refusal, Seen};
use super::records::{Records, services};
use crate::config::{Config, HostConfig};
use crate::payload::datetime::Timestamp;
use crate::tls;

/// Looks for all that leads to the domains of this server, those of its services and components included.
/// `prefixes`: of the services, such as `conference`.
pub(super) async fn all(
    config: &Config,
    prefixes: &[String],
    now: Timestamp,
    outside: &dyn Outside,
) -> Vec<Report> {
    let mut all = Looks { config, now, outside, closed: HashMap::new() };
    let mut reports = Vec::new();
    for host in &config.hosts {
        reports.push(all.host(host).await);
        // Only other servers look up our services in the DNS: our own users reach them through this server.
        if config.s2s.enabled && is_in_dns(&host.domain).is_some() {
            for prefix in prefixes {
                let is_for_others = !FOR_OWN_USERS.contains(&prefix.as_str());
                let domain = format!("{prefix}.{}", host.domain);
                reports.push(all.service(&domain, &host.domain, is_for_others).await);
            }
        }
    }
    if config.s2s.enabled {
        for component in &config.components {
            reports.push(all.service(&component.domain, "", true).await);
        }
    }
    reports
}

/// The domain as the DNS knows it. `None`: it knows no such names.
fn is_in_dns(domain: &str) -> Option<String> {
    let is_address = domain.starts_with('[') || domain.parse::<IpAddr>().is_ok();
    let ascii = idna::domain_to_ascii(domain).ok()?;
    let is_name = !is_address && ascii.contains('.') && !ascii.ends_with(".localhost");
    is_name.then_some(ascii)
}

/// For all domains.
pub(super) struct Looks<'a> {
    config: &'a Config,
    now: Timestamp,
    outside: &'a dyn Outside,
    /// Addresses that do not answer, so that nobody waits for them twice.
    closed: HashMap<SocketAddr, Refusal>,
}

/// For one domain.
pub(super) struct Look<'a, 'b> {
    pub(super) all: &'b mut Looks<'a>,
    /// The domain as XMPP writes it.
    pub(super) domain: &'b str,
    /// The domain in ASCII, as the DNS has it.
    pub(super) ascii: &'b str,
    pub(super) lines: Vec<Line>,
    pub(super) records: Records,
    /// Machines and ports at which the certificate was looked at already.
    pub(super) keys: Vec<String>,
}

impl<'a> Looks<'a> {
    async fn host(&mut self, host: &HostConfig) -> Report {
        let Some(ascii) = is_in_dns(&host.domain) else {
            let text = "the DNS has no records for such a name".to_owned();
            let lines = vec![Line { level: Level::NotChecked, text }];
            return Report { domain: host.domain.clone(), lines, records: Vec::new() };
        };
        let config = self.config;
        let mut look = self.look(&host.domain, &ascii);
        look.certificate(host);
        for is_server in [false, true] {
            for service in services(config, is_server) {
                look.service(&service, Level::Missing).await;
            }
        }
        look.web().await;
        look.proxy().await;
        look.report()
    }

    /// A service or a component. `above`: the host of the service, whose records say where it is.
    async fn service(&mut self, domain: &str, above: &str, is_for_others: bool) -> Report {
        let Some(ascii) = is_in_dns(domain) else {
            let text = "the DNS has no records for such a name".to_owned();
            let lines = vec![Line { level: Level::NotChecked, text }];
            return Report { domain: domain.to_owned(), lines, records: Vec::new() };
        };
        let config = self.config;
        let above = is_in_dns(above);
        let target = match &above {
            Some(above) => self.target_of(above).await,
            None => None,
        };
        let mut look = self.look(domain, &ascii);
        if let Some(target) = target.or(above) {
            look.records.target(&target);
        }
        let level = if is_for_others { Level::Missing } else { Level::Warning };
        for service in services(config, true) {
            look.service(&service, level).await;
        }
        look.report()
    }

    /// The machine to which the records of a host lead.
    async fn target_of(&self, host: &str) -> Option<String> {
        for name in ["_xmpp-server", "_xmpps-server", "_xmpp-client", "_xmpps-client"] {
            let found = self.outside.srv(&format!("{name}._tcp.{host}")).await;
            let target = found.ok().and_then(|found| found.into_iter().next());
            if let Some(target) = target.filter(|srv| !srv.target.is_empty()) {
                return Some(target.target);
            }
        }
        None
    }

    fn look<'b>(&'b mut self, domain: &'b str, ascii: &'b str) -> Look<'a, 'b> {
        let (lines, records, keys) = (Vec::new(), Records::default(), Vec::new());
        Look { all: self, domain, ascii, lines, records, keys }
    }

    pub(super) async fn connect(
        &mut self,
        address: SocketAddr,
        kind: Kind<'_>,
    ) -> Result<Seen, Refusal> {
        if let Some(why) = self.closed.get(&address) {
            return Err(why.clone());
        }
        let seen = self.outside.connect(address, kind).await;
        if let Err(why @ Refusal::Closed(_)) = &seen {
            self.closed.insert(address, why.clone());
        }
        seen
    }
}

impl<'a> Look<'a, '_> {
    pub(super) fn config(&self) -> &'a Config {
        self.all.config
    }

    pub(super) fn outside(&self) -> &'a dyn Outside {
        self.all.outside
    }

    pub(super) fn now(&self) -> Timestamp {
        self.all.now
    }

    /// Adds a line to the report, unless it has it already.
    pub(super) fn say(&mut self, level: Level, text: impl Into<String>) {
        let line = Line { level, text: text.into() };
        if !self.lines.contains(&line) {
            self.lines.push(line);
        }
    }

    /// The certificate in the files of the host, as a client would judge it.
    fn certificate(&mut self, host: &HostConfig) {
        if host.certificate.is_none() {
            let text = "the certificate is self-signed: most clients ask their users whether to trust it, and other \
                        servers refuse it";
            self.say(Level::Warning, text);
        }
        match tls::inspect(host, self.config(), self.now()) {
            Ok(doubts) => {
                for doubt in doubts {
                    self.say(Level::Warning, format!("the certificate: {doubt}"));
                }
            }
            Err(error) => self.say(Level::Missing, format!("the certificate: {error}")),
        }
    }

    fn report(self) -> Report {
        let records = self.records.lines(&self.all.config.listen.public);
        Report { domain: self.domain.to_owned(), lines: self.lines, records }
    }
}

/// Services that only users of this server use: other servers need not find them.
const FOR_OWN_USERS: [&str; 2] = ["proxy", "upload"];
