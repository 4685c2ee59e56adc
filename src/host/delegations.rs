//! XEP-0355: Namespace Delegation. Which component answers which requests for users and hosts, instead of this server.
//!
//! The configuration of a component delegates namespaces to it, for the host below which it is, or for all hosts if it is
//! below none (admin mode; users delegate nothing). The requests are wrapped and sent to the component; the router sends
//! them (`src/router/delegated.rs`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::components::{Components, is_of_host};
use super::{Answer, Host, Origin, ServerState, SharedState};
use crate::config::{ComponentConfig, Config};
use crate::jid::Jid;
use crate::ns;
use crate::payload::data_form;
use crate::payload::disco::Info;
use crate::payload::forward::{self, write_forwarded};
use crate::random::random_id;
use crate::stanza::{Content, Head, Iq, IqKind, Message, MessageKind, Stanza};
use crate::xml::{ElementRef, Frame, Node, element};

/// The namespace.
pub const NS: &str = ns::DELEGATION;
/// Stands for information about nodes of accounts that no feature knows (§7.2.4).
pub const BARE_INFO: &str = "urn:xmpp:delegation:2:bare:disco#info:*";
/// Stands for the items of accounts, and of their nodes that no feature knows (§7.2.5).
pub const BARE_ITEMS: &str = "urn:xmpp:delegation:2:bare:disco#items:*";

/// What components have told that is announced in their stead (§7.2): of a host, a namespace, and whether it is announced
/// by accounts.
#[derive(Debug, Default)]
pub struct NestedFeatures(Mutex<FxHashMap<(SmolStr, String, bool), Bytes>>);

impl SharedState for NestedFeatures {}

/// The component to which a namespace is delegated at this host, if `is` holds for its attributes.
#[must_use]
pub fn manager<'a>(
    server: &ServerState,
    config: &'a Config,
    host: &str,
    (ns, is): (&str, &dyn Fn(&str) -> bool),
) -> Option<&'a ComponentConfig> {
    config.components.iter().find(|component| {
        let delegated = component.delegate.iter().find(|each| each.ns == ns);
        delegated.is_some_and(|delegated| delegated.attributes.iter().all(|name| is(name)))
            && is_of_host(server, &component.domain, host)
    })
}

/// The component that answers this request, if one does. Its own requests, and those that it sends for users, are
/// answered by the server (§4.3.1).
#[must_use]
pub fn of_request<'a>(
    server: &ServerState,
    config: &'a Config,
    host: &str,
    (origin, iq): (&Origin<'_>, &Iq),
) -> Option<&'a ComponentConfig> {
    if config.components.iter().all(|component| component.delegate.is_empty()) {
        return None;
    }
    let payload = iq.payload()?;
    let has = |name: &str| payload.attr(name).is_some();
    let found = manager(server, config, host, (payload.ns(), &has))?;
    (!is_own(found, origin)).then_some(found)
}

/// Whether this component itself asks, for a user or not.
#[must_use]
pub fn is_own(component: &ComponentConfig, origin: &Origin<'_>) -> bool {
    origin.component().is_some_and(|domain| component.domain == domain)
}

/// What a component is told of its namespaces when it has connected (§4.2): a message of each host at which they are
/// delegated to it. None if there are none.
#[must_use]
pub fn advertised(server: &ServerState, component: &ComponentConfig) -> Vec<Stanza> {
    let Ok(to) = Jid::domain_only(&component.domain) else { return Vec::new() };
    let one = |each: &crate::config::Delegation| {
        let attribute = |name: &String| element("attribute").attr("name", name);
        let attributes = each.attributes.iter().map(attribute);
        element("delegated").attr("namespace", &each.ns).children(attributes)
    };
    let delegation = element("delegation").ns(NS).children(component.delegate.iter().map(one));
    let message = |host: &Host| {
        let mut head = Head::between(host.jid.clone(), to.clone());
        head.id = Some(random_id());
        let content = Content::from(delegation.clone());
        Stanza::Message(Message { head, kind: MessageKind::Normal, content })
    };
    let hosts = server.hosts().iter().filter(|_| !component.delegate.is_empty());
    let hosts = hosts.filter(|host| is_of_host(server, &component.domain, &host.domain));
    hosts.map(message).collect()
}

/// The payload that carries a request to a component (§4.3).
pub fn wrap(request: &Iq) -> Node {
    let mut forwarded = Vec::new();
    write_forwarded(&mut forwarded, &Stanza::Iq(request.clone()).to_bytes(), None);
    element("delegation").ns(NS).raw(forwarded)
}

/// What a component has answered to this request, taken out of what carried it. `None`: it is not the answer to this
/// request, or no result (§4.3).
#[must_use]
pub fn unwrap(request: &Iq, carrier: &Iq) -> Option<Iq> {
    let delegation = carrier.payload().filter(|payload| payload.is(NS, "delegation"))?;
    let inner = delegation.child(forward::NS, "forwarded")?.child(ns::CLIENT, "iq")?;
    let Ok(Stanza::Iq(inner)) = Stanza::read(Frame::from_tree(&inner.to_tree()).ok()?) else {
        return None;
    };
    let is_right = inner.kind == IqKind::Result
        && inner.head.id == request.head.id
        && inner.head.to == request.head.from
        && inner.head.from.as_ref().is_none_or(|from| Some(from) == request.head.to.as_ref());
    let head = Head { lang: inner.head.lang, ..request.head.answer() };
    is_right.then_some(Iq { head, kind: IqKind::Result, content: inner.content })
}

/// Asks a component that has connected which features are announced for its namespaces (§7.2).
pub async fn ask(server: Arc<ServerState>, domain: SmolStr) {
    let config = server.config.load_full();
    let component = config.components.iter().find(|component| component.domain == domain);
    let (Some(component), Some(route)) = (component, server.route()) else { return };
    let Ok(to) = Jid::domain_only(&component.domain) else { return };
    let is_plain = |ns: &str| ns != BARE_INFO && ns != BARE_ITEMS;
    // All questions first: a component may answer them in any order, or not at all.
    let mut answers = Vec::new();
    for host in server.hosts().iter().filter(|host| is_of_host(&server, &domain, &host.domain)) {
        for each in component.delegate.iter().filter(|each| is_plain(&each.ns)) {
            for (separator, is_bare) in [("::", false), (":bare:", true)] {
                let node = format!("{NS}{separator}{}", each.ns);
                let query = element("query").ns(ns::DISCO_INFO).attr("node", &node);
                let asked = server.request(host.jid.clone(), to.clone(), IqKind::Get, query);
                let Ok((request, answer)) = asked else { continue };
                route.route(request).await;
                let key = (host.domain.clone(), each.ns.clone(), is_bare);
                let server = &server;
                answers.push(async move {
                    let found = features(answer).await.unwrap_or_default();
                    server.shared::<NestedFeatures>().0.lock().insert(key, found);
                });
            }
        }
    }
    join_all(answers).await;
}

/// The identities, features and forms that a component has answered.
async fn features(answer: Answer) -> Option<Bytes> {
    let answer = answer.within(PATIENCE).await.ok()?;
    let query = answer.payload().filter(|payload| payload.is(ns::DISCO_INFO, "query"))?;
    let is_info = |child: &ElementRef<'_>| {
        child.is(ns::DISCO_INFO, "identity")
            || child.is(ns::DISCO_INFO, "feature")
            || child.is(data_form::NS, "x")
    };
    let mut out = Vec::new();
    for child in query.children().filter(is_info) {
        out.extend_from_slice(&crate::xml::standalone(&child.to_tree()).ok()?);
    }
    (out.len() <= MOST_BYTES).then(|| out.into())
}

/// What is announced of a host, or of its accounts (`is_bare`), with what components announce for their namespaces
/// instead of what the server announces for them (§7.2).
pub fn nest(server: &ServerState, host: &str, is_bare: bool, mut info: Info) -> (Info, Vec<u8>) {
    let config = server.config.load();
    let mut out = Vec::new();
    for component in &config.components {
        if component.delegate.is_empty() || !is_of_host(server, &component.domain, host) {
            continue;
        }
        let is_connected = server.shared::<Components>().is_connected(&component.domain);
        for each in &component.delegate {
            let key = (SmolStr::new(host), each.ns.clone(), is_bare);
            match server.shared::<NestedFeatures>().0.lock().get(&key) {
                Some(found) if is_connected => {
                    remove(&mut info, &each.ns);
                    out.extend_from_slice(found);
                }
                // The component answers nothing in this namespace. But the server answers requests without the attributes.
                _ if !is_connected && each.attributes.is_empty() => remove(&mut info, &each.ns),
                _ => {}
            }
        }
    }
    (info, out)
}

/// Takes out what the server announces for a namespace.
fn remove(info: &mut Info, ns: &str) {
    let is_of = |var: &str| {
        let rest = var.strip_prefix(ns);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['#', ':', '+']))
    };
    info.features.retain(|var| !is_of(var));
    info.forms.retain(|form| !form.as_form_type().is_some_and(is_of));
    if ns == ns::PUBSUB {
        info.identities.retain(|identity| identity.category != "pubsub");
    }
}

/// How long the answer of a component may take.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of what a component announces for one namespace.
const MOST_BYTES: usize = 64 * 1024;
