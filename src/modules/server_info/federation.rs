//! Which other servers a host names (XEP-0485 §4): those with which it has streams now, and that agree: a server that
//! announces the feature itself may be named by others (XEP-0485 §7).

use std::collections::BTreeMap;
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::host::{ServerState, StreamRow};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Iq, IqKind};
use crate::xml::{Node, element};

/// The namespace, and the feature by which an operator agrees to be named by others (XEP-0485 §3, §7).
pub(super) const NS: &str = "urn:xmpp:serverinfo:0";

/// What other servers have answered, and when.
#[derive(Default)]
pub(super) struct Remotes(FxHashMap<String, (bool, Instant)>);

/// The directions of the streams with another server: incoming, outgoing.
type Directions = (bool, bool);

impl Remotes {
    /// The `<federation/>` of a host; `None` if it names nobody.
    pub(super) async fn of(&mut self, server: &ServerState, host: &Jid) -> Option<Node> {
        let streams = server.remote_servers().map(|remote| remote.streams()).unwrap_or_default();
        let mut found = connected(host.as_str(), &streams);
        self.0.retain(|_, (_, since)| since.elapsed() < ASKED_AGAIN);
        let mut agreed = BTreeMap::new();
        while let Some((domain, directions)) = found.pop_first() {
            if agreed.len() < MOST && self.agrees(server, host, &domain).await {
                agreed.insert(domain, directions);
            }
        }
        (!agreed.is_empty()).then(|| federation(&agreed))
    }

    async fn agrees(&mut self, server: &ServerState, host: &Jid, domain: &str) -> bool {
        if let Some((agrees, _)) = self.0.get(domain) {
            return *agrees;
        }
        let agrees = ask(server, host, domain).await.is_some_and(|answer| announces(&answer));
        self.0.insert(domain.to_owned(), (agrees, Instant::now()));
        agrees
    }
}

/// The other servers with which a host has open streams.
fn connected(host: &str, streams: &[StreamRow]) -> BTreeMap<String, Directions> {
    let mut found: BTreeMap<String, Directions> = BTreeMap::new();
    let open = streams.iter().filter(|row| row.state == "open" && row.local == host);
    for row in open.filter(|row| !row.remote.is_empty()) {
        let (incoming, outgoing) = found.entry(row.remote.clone()).or_default();
        *incoming |= row.direction == "in";
        *outgoing |= row.direction == "out";
    }
    found
}

fn federation(remotes: &BTreeMap<String, Directions>) -> Node {
    let remotes = remotes.iter().map(|(domain, (incoming, outgoing))| {
        let connection =
            |is_there: bool, kind| is_there.then(|| element("connection").attr("type", kind));
        element("remote-domain")
            .attr("name", domain)
            .children(connection(*incoming, "incoming"))
            .children(connection(*outgoing, "outgoing"))
    });
    element("federation").children(remotes)
}

async fn ask(server: &ServerState, host: &Jid, domain: &str) -> Option<Iq> {
    let query = element("query").ns(ns::DISCO_INFO);
    let (to, route) = (Jid::parse(domain).ok()?, server.route()?);
    let (request, answer) = server.request(host.clone(), to, IqKind::Get, query).ok()?;
    route.route(request).await;
    answer.within(PATIENCE).await.ok()
}

fn announces(answer: &Iq) -> bool {
    answer.payload().is_some_and(|query| {
        let is_it = |child: crate::xml::ElementRef<'_>| {
            child.is(ns::DISCO_INFO, "feature") && child.attr("var").is_some_and(|var| var == NS)
        };
        query.children().any(is_it)
    })
}

/// Other servers that are named.
const MOST: usize = 500;
/// How long we wait for the answer of another server.
const PATIENCE: Duration = Duration::from_secs(30);
/// After that time another server is asked again whether it agrees.
const ASKED_AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::Stanza;
    use crate::xml::Frame;

    #[test]
    fn servers_with_open_streams_are_named_with_their_directions() {
        let row = |direction, local: &str, remote: &str, state| StreamRow {
            direction,
            local: local.to_owned(),
            remote: remote.to_owned(),
            state,
            peer: None,
            seconds: 0,
            waiting: 0,
        };
        let streams = [
            row("out", "a.example", "c.example", "open"),
            row("out", "a.example", "b.example", "open"),
            row("in", "a.example", "b.example", "open"),
            row("out", "a.example", "d.example", "connecting"),
            row("in", "a.example", "", "unproven"),
            row("in", "e.example", "f.example", "open"),
        ];
        let xml = federation(&connected("a.example", &streams)).to_xml();
        let expected = "<federation><remote-domain name='b.example'><connection type='incoming'/>\
            <connection type='outgoing'/></remote-domain><remote-domain name='c.example'>\
            <connection type='outgoing'/></remote-domain></federation>";
        assert_eq!(xml, expected);
    }

    #[test]
    fn a_server_agrees_by_the_feature_alone() {
        let answer = |features: &str| {
            let xml = format!(
                "<iq type='result' id='1' from='b.example' to='a.example'>\
                 <query xmlns='http://jabber.org/protocol/disco#info'>{features}</query></iq>"
            );
            match Stanza::read(Frame::from_bytes(xml).unwrap()).unwrap() {
                Stanza::Iq(iq) => announces(&iq),
                other => panic!("{other:?}"),
            }
        };
        assert!(answer("<feature var='x'/><feature var='urn:xmpp:serverinfo:0'/>"));
        assert!(
            !answer("<feature var='x'/><identity name='urn:xmpp:serverinfo:0'/>") && !answer("")
        );
    }
}
