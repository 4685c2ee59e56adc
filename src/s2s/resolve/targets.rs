//! The machines and ports at which a domain may be served, in the order in which they are tried.

use std::net::SocketAddr;

use super::order::order;
use super::{Place, Resolve, Target};
use crate::config::S2sConfig;
use crate::s2s::failure::Failure;

/// Where the server of this domain may be, by the configuration or by DNS.
///
/// # Errors
/// If there is none, or DNS does not answer.
pub(in crate::s2s) async fn targets(
    config: &S2sConfig,
    dns: &dyn Resolve,
    domain: &str,
) -> Result<Vec<Target>, Failure> {
    if let Some(host) = config.hosts.iter().find(|host| host.domain == domain) {
        let (place, is_direct) = (Place::Address(host.address), host.is_direct);
        return Ok(vec![Target { place, is_direct, is_guess: false }]);
    }
    if let Some(ip) = ip_of(domain) {
        let place = Place::Address(SocketAddr::new(ip, PORT));
        return Ok(vec![Target { place, is_direct: false, is_guess: false }]);
    }
    let ascii = idna::domain_to_ascii(domain).map_err(|_| Failure::not_found(NO_DOMAIN))?;
    if !ascii.contains('.') {
        // A name of this machine or of the local network: DNS does not answer for it.
        return Err(Failure::not_found(NO_DOMAIN));
    }
    let direct = format!("_xmpps-server._tcp.{ascii}");
    let starttls = format!("_xmpp-server._tcp.{ascii}");
    let (direct, starttls) = futures_util::join!(dns.srv(&direct), dns.srv(&starttls));
    if direct.is_err() && starttls.is_err() {
        return Err(Failure::timeout("DNS does not say where the other server is"));
    }
    let with = |is_direct| move |srv| (srv, is_direct);
    let direct = direct.unwrap_or_default().into_iter().map(with(true));
    let all: Vec<_> =
        direct.chain(starttls.unwrap_or_default().into_iter().map(with(false))).collect();
    if all.is_empty() {
        // RFC 6120 §3.2.2.
        let place = Place::Name(ascii, PORT);
        return Ok(vec![Target { place, is_direct: false, is_guess: true }]);
    }
    let offered: Vec<_> = all.into_iter().filter(|(srv, _)| !srv.target.is_empty()).collect();
    if offered.is_empty() {
        return Err(Failure::not_found("the domain says that it has no such service"));
    }
    // XEP-0368 §3: both kinds are treated as one.
    let sorted = order(offered, chance);
    let target = |(srv, is_direct): (super::Srv, bool)| Target {
        place: Place::Name(srv.target, srv.port),
        is_direct,
        is_guess: false,
    };
    Ok(sorted.into_iter().take(MOST).map(target).collect())
}

/// The IP address, if the domain is one (RFC 7622 §3.2).
pub(in crate::s2s) fn ip_of(domain: &str) -> Option<std::net::IpAddr> {
    let bare = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(domain).parse().ok()
}

/// A random number below this one.
fn chance(below: u64) -> u64 {
    getrandom::u64().unwrap_or(0) % below.max(1)
}

const PORT: u16 = 5269;
/// How many machines are tried.
const MOST: usize = 8;
const NO_DOMAIN: &str = "there is no such domain";

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::IpAddr;

    use async_trait::async_trait;

    use super::*;
    use crate::config::Config;
    use crate::s2s::resolve::{Srv, Unresolved};
    use crate::stanza::Condition;

    #[derive(Default)]
    struct Table(HashMap<&'static str, Result<Vec<Srv>, Unresolved>>);

    #[async_trait]
    impl Resolve for Table {
        async fn srv(&self, name: &str) -> Result<Vec<Srv>, Unresolved> {
            self.0.get(name).cloned().unwrap_or_else(|| Ok(Vec::new()))
        }

        async fn addresses(&self, _: &str) -> Result<Vec<IpAddr>, Unresolved> {
            Ok(Vec::new())
        }
    }

    fn srv(priority: u16, port: u16, target: &str) -> Srv {
        Srv { priority, weight: 1, port, target: target.to_owned() }
    }

    async fn of(table: &Table, domain: &str) -> Result<Vec<String>, Condition> {
        let text = "[s2s.hosts]\n'fixed.example' = 'tls://192.0.2.1:7'\n";
        let config = Config::parse(text, "the test").unwrap();
        let found = targets(&config.s2s, table, domain).await.map_err(|f| f.condition)?;
        Ok(found.iter().map(|target| format!("{:?} {}", target.place, target.is_direct)).collect())
    }

    const DIRECT: &str = "_xmpps-server._tcp.c.example";
    const STARTTLS: &str = "_xmpp-server._tcp.c.example";

    #[tokio::test]
    async fn both_kinds_of_records_are_sorted_together() {
        let starttls = vec![srv(5, 5269, "x.c.example"), srv(20, 5269, "y.c.example")];
        let table = Table(HashMap::from([
            (DIRECT, Ok(vec![srv(10, 443, "x.c.example")])),
            (STARTTLS, Ok(starttls)),
        ]));
        assert_eq!(
            of(&table, "c.example").await.unwrap(),
            [
                "Name(\"x.c.example\", 5269) false",
                "Name(\"x.c.example\", 443) true",
                "Name(\"y.c.example\", 5269) false",
            ]
        );
    }

    #[tokio::test]
    async fn without_records_the_domain_itself_is_tried() {
        let none = Table::default();
        let expected = ["Name(\"c.example\", 5269) false"];
        assert_eq!(of(&none, "c.example").await.unwrap(), expected);
        let failed = Table(HashMap::from([(DIRECT, Err(Unresolved))]));
        assert_eq!(of(&failed, "c.example").await.unwrap(), expected);
        let expected = ["Name(\"xn--jlich-kva.example\", 5269) false"];
        assert_eq!(of(&none, "jülich.example").await.unwrap(), expected);
        let expected = ["Address(192.0.2.1:7) true"];
        assert_eq!(of(&none, "fixed.example").await.unwrap(), expected);
        assert_eq!(of(&none, "192.0.2.9").await.unwrap(), ["Address(192.0.2.9:5269) false"]);
        let expected = ["Address([2001:db8::9]:5269) false"];
        assert_eq!(of(&none, "[2001:db8::9]").await.unwrap(), expected);
        assert_eq!(of(&none, "localhost").await, Err(Condition::RemoteServerNotFound));
    }

    #[tokio::test]
    async fn a_dot_means_that_there_is_no_service() {
        let dot = || Ok(vec![srv(0, 0, "")]);
        let all = Table(HashMap::from([(DIRECT, dot()), (STARTTLS, dot())]));
        assert_eq!(of(&all, "c.example").await, Err(Condition::RemoteServerNotFound));
        let one = Table(HashMap::from([(STARTTLS, dot())]));
        assert_eq!(of(&one, "c.example").await, Err(Condition::RemoteServerNotFound));
        let table = Table(HashMap::from([
            (DIRECT, dot()),
            (STARTTLS, Ok(vec![srv(1, 5269, "x.c.example")])),
        ]));
        let expected = ["Name(\"x.c.example\", 5269) false"];
        assert_eq!(of(&table, "c.example").await.unwrap(), expected);
        let failed = Table(HashMap::from([(DIRECT, Err(Unresolved)), (STARTTLS, Err(Unresolved))]));
        assert_eq!(of(&failed, "c.example").await, Err(Condition::RemoteServerTimeout));
    }
}
