//! XEP-0030: Service Discovery, and XEP-0115: Entity Capabilities of the server itself.

use async_trait::async_trait;

use crate::host::command::{Command, node_of};
use crate::host::{
    Cx, Identity, IqHandler, IqReply, Manifest, Module, Registry, Scope, Status, Xep,
};
use crate::ns;
use crate::payload::data_form::{self, Form};
use crate::payload::{caps, disco};
use crate::stanza::{Condition, Iq, IqKind};
use crate::xml::{Node, element};

/// Tells what the server and its accounts are and can.
pub struct Disco;

impl Module for Disco {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "disco",
            summary: "Tells what the server and its accounts are and can",
            xeps: &[
                Xep { number: 30, version: "2.5.0", status: Status::Complete },
                Xep { number: 115, version: "1.6.0", status: Status::Partial },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        let server = Identity { category: "server", kind: "im", name: Some("Waxwing") };
        let account = Identity { category: "account", kind: "registered", name: None };
        on.identity(Scope::Host, server).identity(Scope::Account, account);
        on.feature(Scope::Host, ns::CAPS);
        for scope in [Scope::Account, Scope::Host] {
            on.feature(scope, ns::DISCO_INFO).feature(scope, ns::DISCO_ITEMS);
            on.iq(scope, IqKind::Get, (ns::DISCO_INFO, "query"), &Self);
            on.iq(scope, IqKind::Get, (ns::DISCO_ITEMS, "query"), &Self);
        }
    }
}

#[async_trait]
impl IqHandler for Disco {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let scope = match &request.head.to {
            Some(to) if to.local().is_none() => Scope::Host,
            _ => Scope::Account,
        };
        let query = request.payload().ok_or(Condition::BadRequest)?;
        let node = query.attr("node");
        if let Some(node) = node.as_deref().filter(|_| scope == Scope::Host)
            && let Some(answer) = of_commands(cx, query.ns(), node)
        {
            return Ok(Some(answer));
        }
        if query.ns() == ns::DISCO_ITEMS {
            return match node {
                Some(_) => Err(Condition::ItemNotFound.into()),
                None => Ok(Some(element("query").ns(ns::DISCO_ITEMS))),
            };
        }
        let registry = &cx.hosts.registry;
        if let Some(node) = &node
            && (scope == Scope::Account || **node != format!("{NODE}#{}", ver(registry)))
        {
            return Err(Condition::ItemNotFound.into());
        }
        let identities = registry.identities_of(scope);
        let identities: Vec<_> = identities.iter().map(words).collect();
        let info = disco::info(node.as_deref(), &identities, &registry.features_of(scope));
        Ok(Some(info.children(registry.forms_of(scope).map(Form::to_node))))
    }
}

/// The node of the administrator's commands, and those of each of them (XEP-0050 §2.2, §2.3). Who
/// may not give them sees none.
fn of_commands(cx: &Cx<'_>, ns: &str, node: &str) -> Option<Node> {
    let commands = cx.hosts.registry.commands().iter().filter(|_| cx.is_of_admin());
    let is_list = node == ns::COMMANDS;
    if ns == ns::DISCO_ITEMS {
        let item = |command: &&dyn Command| {
            element("item")
                .attr("jid", &cx.host.domain)
                .attr("node", node_of(*command))
                .attr("name", command.about())
        };
        let items = element("query").ns(ns::DISCO_ITEMS).attr("node", node);
        return is_list.then(|| items.children(commands.map(item)));
    }
    if is_list {
        let identity = ("automation", "command-list", Some("Commands"));
        return Some(disco::info(Some(node), &[identity], &[ns::COMMANDS]));
    }
    let command = commands.into_iter().find(|command| node_of(**command) == node)?;
    let identity = ("automation", "command-node", Some(command.about()));
    Some(disco::info(Some(node), &[identity], &[ns::COMMANDS, data_form::NS]))
}

/// The `<c/>` that stream features carry (XEP-0115 §6.3).
pub fn server_caps(registry: &Registry) -> Node {
    caps::caps(NODE, &ver(registry))
}

fn ver(registry: &Registry) -> String {
    let identities = registry.identities_of(Scope::Host);
    let identities: Vec<_> = identities.iter().map(words).collect();
    let forms: Vec<_> = registry.forms_of(Scope::Host).collect();
    caps::hash(&identities, &registry.features_of(Scope::Host), &forms)
}

fn words(identity: &Identity) -> disco::Identity<'static> {
    (identity.category, identity.kind, identity.name)
}

/// Names this software (XEP-0115 §4).
const NODE: &str = "urn:waxwing";
