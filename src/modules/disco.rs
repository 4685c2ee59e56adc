//! XEP-0030: Service Discovery, and XEP-0115: Entity Capabilities of the server itself.

use async_trait::async_trait;

use crate::host::command::{Command, is_node_of, node_of};
use crate::host::{
    Cx, Identity, IqHandler, IqReply, Manifest, Module, Registry, Scope, Status, Xep,
};
use crate::jid::Jid;
use crate::ns;
use crate::payload::data_form::{self, Form};
use crate::payload::{caps, disco};
use crate::session::SessionRef;
use crate::stanza::{Condition, Iq, IqKind, StanzaError};
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
        }
        on.iq(Scope::Host, IqKind::Get, (ns::DISCO_ITEMS, "query"), &Self);
        on.public_iq(IqKind::Get, (ns::DISCO_ITEMS, "query"), &Self);
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
        let written = query.attr("node");
        // "The value of the 'node' attribute MUST NOT be null": an empty one is none.
        let node = written.as_deref().filter(|node| !node.is_empty());
        if let Some(node) = node.filter(|_| scope == Scope::Host)
            && let Some(answer) = of_commands(cx, query.ns(), node)?
        {
            return Ok(Some(answer));
        }
        if query.ns() == ns::DISCO_ITEMS {
            let found = match scope {
                Scope::Account => items_of_account(cx, request, node).await?,
                Scope::Host if node.is_some() => return Err(Condition::ItemNotFound.into()),
                Scope::Host => items_of_host(cx),
            };
            let items = element("query").ns(ns::DISCO_ITEMS).maybe_attr("node", written);
            return Ok(Some(items.children(found)));
        }
        let registry = &cx.hosts.registry;
        let (mut identities, mut features) =
            (registry.identities_of(scope), registry.features_of(scope));
        match node {
            // What everybody is told at login (XEP-0115 §6.3) is the same for all.
            Some(node) if scope == Scope::Host && node == format!("{NODE}#{}", ver(registry)) => {}
            Some(_) => return Err(Condition::ItemNotFound.into()),
            None if scope == Scope::Host && has_commands(cx) => {
                features.push(ns::COMMANDS);
                features.sort_unstable();
            }
            None => {}
        }
        if scope == Scope::Account && is_anonymous(cx, request) {
            identities.iter_mut().for_each(|identity| identity.kind = "anonymous");
            features.retain(|var| !registry.is_for_registered(var));
        }
        let identities: Vec<_> = identities.iter().map(words).collect();
        let info = disco::info(written.as_deref(), &identities, &features);
        Ok(Some(info.children(registry.forms_of(scope).map(Form::to_node))))
    }
}

/// The account is one in name only: somebody logged in without (XEP-0175). Of others it is known
/// already that they are there.
fn is_anonymous(cx: &Cx<'_>, request: &Iq) -> bool {
    let user = request.head.to.as_ref().map(Jid::to_bare);
    let own =
        cx.origin.session().filter(|own| user.is_some_and(|user| own.jid().to_bare() == user));
    own.is_some_and(SessionRef::is_anonymous)
}

/// The available sessions of an account, for those who may see them; nothing for all others,
/// whether there is such an account or not (XEP-0030 §8).
async fn items_of_account(
    cx: &Cx<'_>,
    request: &Iq,
    node: Option<&str>,
) -> Result<Vec<Node>, StanzaError> {
    let head = &request.head;
    let (Some(to), Some(from)) = (&head.to, &head.from) else { return Ok(Vec::new()) };
    let user = to.to_bare();
    if !cx.origin.is_of(&user) && !cx.shows_presence(&user, from).await? {
        return Ok(Vec::new());
    }
    if node.is_some() {
        return Err(Condition::ItemNotFound.into());
    }
    let available = cx.hosts.sessions.available(&user);
    Ok(available
        .iter()
        .map(|session| element("item").attr("jid", session.jid().as_str()))
        .collect())
}

/// What a domain has: the list of commands, for those who may give any (XEP-0050 §2.2).
fn items_of_host(cx: &Cx<'_>) -> Vec<Node> {
    let commands = || {
        let item = element("item").attr("jid", &cx.host.domain);
        item.attr("node", ns::COMMANDS).attr("name", COMMANDS)
    };
    has_commands(cx).then(commands).into_iter().collect()
}

/// The asker may give commands.
fn has_commands(cx: &Cx<'_>) -> bool {
    cx.is_of_admin() && !cx.hosts.registry.commands().is_empty()
}

/// The node of the administrator's commands, and those of each of them (XEP-0050 §2.2). Who may
/// not give them sees none: for others the list is empty, and nothing is known of it.
fn of_commands(cx: &Cx<'_>, ns: &str, node: &str) -> Result<Option<Node>, StanzaError> {
    let commands = cx.hosts.registry.commands();
    let items = || element("query").ns(ns::DISCO_ITEMS).attr("node", node);
    if node == ns::COMMANDS {
        if ns == ns::DISCO_INFO {
            if !has_commands(cx) {
                return Err(Condition::ItemNotFound.into());
            }
            let identity = ("automation", "command-list", Some(COMMANDS));
            let features = [ns::COMMANDS, ns::DISCO_INFO, ns::DISCO_ITEMS];
            return Ok(Some(disco::info(Some(node), &[identity], &features)));
        }
        let item = |command: &&dyn Command| {
            element("item")
                .attr("jid", &cx.host.domain)
                .attr("node", node_of(*command))
                .attr("name", command.about())
        };
        let seen = commands.iter().filter(|_| has_commands(cx));
        return Ok(Some(items().children(seen.map(item))));
    }
    let Some(command) = commands.iter().find(|command| is_node_of(**command, node)) else {
        return Ok(None);
    };
    if !has_commands(cx) {
        return Err(Condition::Forbidden.into());
    }
    if ns == ns::DISCO_ITEMS {
        return Ok(Some(items())); // XEP-0030 §7: it is there, and has none
    }
    let identity = ("automation", "command-node", Some(command.about()));
    let features = [ns::COMMANDS, ns::DISCO_INFO, data_form::NS];
    Ok(Some(disco::info(Some(node), &[identity], &features)))
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

/// The list of commands, for people.
const COMMANDS: &str = "Commands";
/// Names this software (XEP-0115 §4).
const NODE: &str = "urn:waxwing";
