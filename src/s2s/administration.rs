//! What administrators see of the streams to and from other servers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::outgoing::{Opened, Purpose, open};
use super::pair::Pair;
use super::resolve::{Place, targets};
use super::rules::Rules;
use super::servers::Servers;
use crate::host::StreamRow;

impl Servers {
    /// All streams, those that are being opened included.
    pub(super) fn rows(&self) -> Vec<StreamRow> {
        let outgoing = self.links().into_iter().map(|link| {
            let opened = link.opened();
            StreamRow {
                direction: "out",
                local: link.pair.local.to_string(),
                remote: link.pair.remote.to_string(),
                state: if opened.is_some() { "open" } else { "connecting" },
                peer: opened.map(|(peer, _)| peer),
                seconds: opened.map_or(0, |(_, since)| since.elapsed().as_secs()),
                waiting: link.waiting(),
            }
        });
        let mut rows: Vec<_> = outgoing.collect();
        for stream in self.streams.all() {
            let pairs = stream.pairs.lock().clone();
            let unproven = || vec![Pair { local: "".into(), remote: "".into() }];
            let state = if pairs.is_empty() { "unproven" } else { "open" };
            let pairs = if pairs.is_empty() { unproven() } else { pairs };
            rows.extend(pairs.into_iter().map(|pair| StreamRow {
                direction: "in",
                local: pair.local.to_string(),
                remote: pair.remote.to_string(),
                state,
                peer: Some(stream.peer),
                seconds: stream.since.elapsed().as_secs(),
                waiting: 0,
            }));
        }
        rows.sort_by(|a, b| {
            (&a.remote, &a.local, a.direction).cmp(&(&b.remote, &b.local, b.direction))
        });
        rows
    }

    /// Ends all streams to and from this domain. Returns how many.
    pub(super) fn end(&self, domain: &str) -> usize {
        self.remotes.forget_domain(domain);
        let links = self.links().into_iter().filter(|link| link.pair.remote == domain);
        let links = links.map(|link| link.end()).count();
        let is_of = |pair: &Pair| pair.remote == domain;
        let streams = self.streams.all().into_iter();
        let streams = streams.filter(|stream| stream.pairs.lock().iter().any(is_of));
        links + streams.map(|stream| stream.end()).count()
    }

    /// Ends the streams of domains to which we no longer talk.
    pub(super) fn end_denied(&self) {
        let rules = self.rules();
        let mut remotes: Vec<_> = self.rows().into_iter().map(|row| row.remote).collect();
        remotes.dedup();
        for remote in remotes.iter().filter(|remote| !remote.is_empty() && !rules.may_talk(remote))
        {
            self.end(remote);
        }
    }

    /// The rules for a domain, and what is known of it now.
    pub(super) fn about(&self, remote: &str) -> Vec<(&'static str, Value)> {
        let rules = self.rules();
        let (may_talk, exception) = (rules.may_talk(remote), rules.exception(remote));
        let why = match (exception, may_talk) {
            _ if rules.is_ours(remote) => "it is served here".to_owned(),
            (Some(rule), true) => format!("`s2s allow {}` was given", rule.pattern),
            (Some(rule), false) => format!("`s2s deny {}` was given", rule.pattern),
            (None, true) => "the configuration allows it".to_owned(),
            (None, false) => "`s2s.deny` lists it, or `s2s.allow` does not".to_owned(),
        };
        let rows = self.rows().into_iter().filter(|row| row.remote == remote);
        let (incoming, outgoing): (Vec<_>, Vec<_>) = rows.partition(|row| row.direction == "in");
        let proof = proof_of(&rules, remote);
        vec![
            ("domain", json!(remote)),
            ("may_talk", json!(may_talk)),
            ("why", json!(why)),
            ("proof", json!(proof)),
            ("incoming", json!(incoming.len())),
            ("outgoing", json!(outgoing.len())),
            ("waiting", json!(outgoing.iter().map(|row| row.waiting).sum::<usize>())),
            ("failed", json!(self.remotes.why_not(remote).map(|why| why.why))),
        ]
    }

    /// Connects to the server of a domain, and reports what it offers. Only the beginning of a stream is sent.
    pub(super) async fn try_out(&self, local: &str, remote: &str) -> Vec<(&'static str, Value)> {
        let pair = Pair { local: local.into(), remote: remote.into() };
        let rules = self.rules();
        let mut facts = vec![("domain", json!(remote)), ("from", json!(local))];
        let end = |facts: &mut Vec<_>, verdict: String| facts.push(("verdict", json!(verdict)));
        if rules.is_ours(remote) {
            end(&mut facts, "this domain is served here".to_owned());
            return facts;
        }
        facts.push(("may_talk", json!(rules.may_talk(remote))));
        let config = self.server().config.load_full();
        let found = targets(&config.s2s, &*self.network.resolver, remote).await;
        let found = match found {
            Ok(found) => found,
            Err(why) => {
                end(&mut facts, why.why.to_owned());
                return facts;
            }
        };
        let places = found.iter().map(|target| {
            let scheme = if target.is_direct { "tls://" } else { "" };
            match &target.place {
                Place::Address(address) => format!("{scheme}{address}"),
                Place::Name(name, port) => format!("{scheme}{name}:{port}"),
            }
        });
        facts.push(("places", json!(places.collect::<Vec<_>>())));
        let opened = timeout(config.s2s.connect, Box::pin(open(self, &pair, Purpose::Look))).await;
        let opened = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(why)) => {
                end(&mut facts, why.why.to_owned());
                return facts;
            }
            Err(_) => {
                end(&mut facts, "the other server does not answer".to_owned());
                return facts;
            }
        };
        facts.extend(about_peer(&rules, &opened, remote));
        self.close_later(opened.connection, local);
        facts
    }

    fn links(&self) -> Vec<Arc<super::link::Link>> {
        let sorted: BTreeMap<_, _> = self
            .all_links()
            .into_iter()
            .map(|link| ((link.pair.remote.clone(), link.pair.local.clone()), link))
            .collect();
        sorted.into_values().collect()
    }
}

/// How a domain must be proven, in words.
fn proof_of(rules: &Rules, remote: &str) -> &'static str {
    match (rules.is_dialback_enough(remote), rules.has_dane(remote), rules.has_posh(remote)) {
        (true, ..) => "a certificate, or dialback",
        (false, true, true) => {
            "a certificate that is valid for it, or one that the signed DNS (DANE) or the web site of the domain (POSH) names"
        }
        (false, true, false) => {
            "a certificate that is valid for it, or one that the signed DNS names (DANE)"
        }
        (false, false, true) => {
            "a certificate that is valid for it, or one that the web site of the domain names (POSH)"
        }
        (false, false, false) => "a certificate that is valid for it",
    }
}

/// What the other server is like, and what would come of a stream to it.
fn about_peer(rules: &Rules, opened: &Opened, remote: &str) -> Vec<(&'static str, Value)> {
    let mut facts = vec![("peer", json!(opened.connection.peer.to_string()))];
    let certificate = opened.machine.certificate();
    let names = certificate.map(|own| own.names()).unwrap_or_default();
    let ends = certificate.and_then(|own| own.issuer_and_end());
    facts.push(("names", json!(names)));
    facts.push(("issuer", json!(ends.map(|(issuer, _)| issuer))));
    facts.push(("valid_until", json!(ends.map(|(_, end)| end.to_string()))));
    let chain = certificate.map(|own| own.sent_chain()).unwrap_or_default().into_iter();
    let chain = chain.map(|(subject, issuer, end)| {
        json!({ "subject": subject, "issuer": issuer, "valid_until": end.to_string() })
    });
    facts.push(("chain", json!(chain.collect::<Vec<_>>())));
    facts.push(("fingerprint", json!(certificate.and_then(|own| own.fingerprint()))));
    let fault = certificate.and_then(|own| own.check(remote).err());
    let own = certificate.and_then(|own| own.own_fault(remote));
    facts.push(("certificate", json!(own.map_or("valid", |fault| fault.words()))));
    facts.push(("dane", json!(certificate.and_then(|own| own.dane()).unwrap_or("not asked"))));
    facts.push(("posh", json!(certificate.and_then(|own| own.posh()).unwrap_or("not asked"))));
    let seen = opened.seen.clone().unwrap_or_default();
    facts.push(("external", json!(seen.has_external)));
    facts.push(("dialback", json!(seen.has_dialback)));
    facts.push(("features", json!(seen.features)));
    let verdict = match (fault, rules.is_dialback_enough(remote)) {
        _ if !rules.may_talk(remote) => {
            "the configuration says not to talk to this domain".to_owned()
        }
        (Some(fault), false) => format!(
            "its certificate {}, so it is not believed: it needs another one, or TLSA records in a signed \
                 DNS (DANE), or its fingerprint on the web site of the domain (POSH), or its domain a line in `s2s.dialback`",
            fault.words()
        ),
        _ if seen.has_external => "this server would log in by its certificate".to_owned(),
        _ if seen.has_dialback => {
            "this server would be called back (dialback): the other one does not take \
                                       its certificate"
                .to_owned()
        }
        _ => "the other server takes neither the certificate of this one nor dialback".to_owned(),
    };
    facts.push(("verdict", json!(verdict)));
    facts
}
