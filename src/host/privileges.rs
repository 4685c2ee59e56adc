//! XEP-0356: Privileged Entity. What external components may do in the name of users, and how they are told.
//!
//! The configuration of a component grants its privileges. They apply to the host below which the component is, or to
//! all hosts if it is below none.

use std::sync::Arc;

use super::components::{self, Components, is_of_host};
use super::{Host, ServerState, delegations};
use crate::config::{
    ComponentConfig, Config, MessageGrant, NamespaceGrant, PresenceGrant, RequestGrant,
};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::random::random_id;
use crate::stanza::{Content, Head, Iq, IqKind, Message, MessageKind, Stanza};
use crate::storage::RosterVersion;
use crate::xml::{Node, element};

/// The namespace.
pub const NS: &str = ns::PRIVILEGE;

/// The component that has this domain, if its privileges apply to this host.
#[must_use]
pub fn component_at<'a>(
    server: &ServerState,
    config: &'a Config,
    domain: &str,
    host: &str,
) -> Option<&'a ComponentConfig> {
    config.component(domain).filter(|component| is_of_host(server, &component.domain, host))
}

/// What a component is told of its privileges when it has connected (XEP-0356 §4.2): a message of each host to which
/// they apply. None if it has no privileges.
#[must_use]
pub fn advertised(server: &ServerState, component: &ComponentConfig) -> Vec<Stanza> {
    privilege(component).map_or_else(Vec::new, |privilege| messages(server, component, &privilege))
}

/// Tells connected components their privileges and namespaces again, if these have changed with the configuration. A
/// privilege that was taken away is told, too.
pub fn tell_changes(server: &Arc<ServerState>, before: &Config, after: &Config) {
    let table = server.shared::<Components>();
    for new in after.components.iter().filter(|new| table.is_connected(&new.domain)) {
        let Some(old) = before.components.iter().find(|old| old.domain == new.domain) else {
            continue;
        };
        let mut told = Vec::new();
        if grants(old) != grants(new) {
            told = messages(server, new, &all_perms(old, new));
        }
        if old.delegate != new.delegate {
            told.extend(delegations::advertised(server, new));
            let work = delegations::ask(Arc::clone(server), new.domain.as_str().into());
            let work = server.tasks.stopping().run_until_cancelled_owned(work);
            drop(server.tasks.spawn("component-features", work));
        }
        let Ok(to) = Jid::domain_only(&new.domain) else { continue };
        for stanza in told {
            if components::send(server, &to, stanza).is_err() {
                tracing::debug!(host = %new.domain, "a component is not told of its privileges");
            }
        }
    }
}

/// What is granted.
fn grants(
    component: &ComponentConfig,
) -> (RequestGrant, bool, MessageGrant, PresenceGrant, &[NamespaceGrant]) {
    let ComponentConfig { roster, message, presence, iq, .. } = component;
    (*roster, component.is_pushed(), *message, *presence, iq)
}

/// `<privilege/>` with everything, also with privileges that are no longer granted.
fn all_perms(old: &ComponentConfig, new: &ComponentConfig) -> Node {
    let perm = |access: &str, kind: &str| element("perm").attr("access", access).attr("type", kind);
    let push = if new.is_pushed() { "true" } else { "false" };
    let gone = old.iq.iter().filter(|old| new.iq.iter().all(|new| new.ns != old.ns));
    let gone = gone.map(|each| (&each.ns, RequestGrant::None));
    let namespaces = new.iq.iter().map(|each| (&each.ns, each.requests)).chain(gone);
    let namespaces: Vec<_> = namespaces
        .map(|(ns, requests)| element("namespace").attr("ns", ns).attr("type", requests.word()))
        .collect();
    let iq =
        (!namespaces.is_empty()).then(|| element("perm").attr("access", "iq").children(namespaces));
    element("privilege")
        .ns(NS)
        .child(perm("roster", new.roster.word()).attr("push", push))
        .child(perm("message", new.message.word()))
        .children(iq)
        .child(perm("presence", new.presence.word()))
}

/// A message of each host to which the privileges apply.
fn messages(server: &ServerState, component: &ComponentConfig, privilege: &Node) -> Vec<Stanza> {
    let Ok(to) = Jid::domain_only(&component.domain) else { return Vec::new() };
    let hosts = server.hosts().iter();
    let hosts = hosts.filter(|host| is_of_host(server, &component.domain, &host.domain));
    let message = |host: &Host| {
        let mut head = Head::between(host.jid.clone(), to.clone());
        head.id = Some(random_id());
        let content = Content::from(privilege.clone());
        Stanza::Message(Message { head, kind: MessageKind::Normal, content })
    };
    hosts.map(message).collect()
}

/// `<privilege/>` with all that is granted. `None`: nothing is.
fn privilege(component: &ComponentConfig) -> Option<Node> {
    let perm = |access: &str| element("perm").attr("access", access);
    let is_asked = |requests: RequestGrant| requests != RequestGrant::None;
    let roster = is_asked(component.roster).then(|| {
        let push = if component.is_pushed() { "true" } else { "false" };
        perm("roster").attr("type", component.roster.word()).attr("push", push)
    });
    let message = (component.message != MessageGrant::None)
        .then(|| perm("message").attr("type", component.message.word()));
    let namespaces: Vec<_> = component.iq.iter().filter(|each| is_asked(each.requests)).collect();
    let iq = (!namespaces.is_empty()).then(|| {
        perm("iq").children(namespaces.into_iter().map(|each| {
            element("namespace").attr("ns", &each.ns).attr("type", each.requests.word())
        }))
    });
    let presence = (component.presence != PresenceGrant::None)
        .then(|| perm("presence").attr("type", component.presence.word()));
    let all: Vec<_> = [roster, message, iq, presence].into_iter().flatten().collect();
    (!all.is_empty()).then(|| element("privilege").ns(NS).children(all))
}

/// Tells components that a roster has changed (XEP-0356 §4.4). To be called while the roster is locked, so that the
/// changes are told in their order. A component that is not connected misses it.
pub fn push_roster(server: &ServerState, user: &BareJid, item: &Node, version: RosterVersion) {
    let config = server.config.load();
    for component in config.components.iter().filter(|component| component.is_pushed()) {
        if !is_of_host(server, &component.domain, user.domain()) {
            continue;
        }
        let Ok(to) = Jid::domain_only(&component.domain) else { continue };
        let query = element("query").ns(ns::ROSTER).attr("ver", version.to_string());
        let mut head = Head::between(user.clone(), to.clone());
        head.id = Some(format!("push{version}").into());
        let content = Content::from(query.child(item.clone()));
        let push = Stanza::Iq(Iq { head, kind: IqKind::Set, content });
        if components::send(server, &to, push).is_err() {
            tracing::debug!(host = %component.domain, "a component is not told of a change of a roster");
        }
    }
}
