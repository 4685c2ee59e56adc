//! XEP-0030: Service Discovery, and XEP-0115: Entity Capabilities of the server itself.
//!
//! The answers come from the registry: what features announce there for everybody, and what their
//! providers ([`Discovery`]) answer about items, about nodes, and to one requester.

mod own_capabilities;

use async_trait::async_trait;

use crate::host::{
    Access, AddressKind, Asked, Cx, Destination, Discovery, IqHandler, IqReply, Manifest, Module,
    Registry, ServiceDomain, Status, Xep, delegations,
};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::payload::disco::{self, Identity, Info, Item, ItemPage};
use crate::payload::result_set::SetRequest;
use crate::payload::type_filter::TypeFilter;
use crate::session::SessionRef;
use crate::stanza::{Condition, Iq, IqKind, StanzaError};

pub use own_capabilities::server_capabilities;

use own_capabilities::{Capabilities, Own};

/// Tells what the server, its services and its accounts are and can do.
pub struct Disco;

impl Module for Disco {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "disco",
            summary: "Tells what the server and its accounts are and can",
            xeps: &[Xep { number: 30, version: "2.5.0", status: Status::Complete }],
        }
    }

    fn register(&self, on: &mut Registry) {
        let name = Some("Waxwing".into());
        on.identity(AddressKind::Host, Identity { category: "server", kind: "im", name });
        let account = Identity { category: "account", kind: "registered", name: None };
        on.identity(AddressKind::Account, account);
        on.disco_feature(AddressKind::Host, ns::CAPS).disco_feature(AddressKind::Host, ns::CAPS_2);
        on.shared(Own::default());
        for address in [AddressKind::Account, AddressKind::Host, AddressKind::Service] {
            on.disco_feature(address, ns::DISCO_INFO).disco_feature(address, ns::DISCO_ITEMS);
        }
        for (address, access) in [
            (AddressKind::Account, Access::Contacts),
            (AddressKind::Host, Access::Public),
            (AddressKind::Service, Access::Public),
            (AddressKind::ServiceAddress, Access::Public),
        ] {
            on.iq(address, IqKind::Get, (ns::DISCO_INFO, "query"), access, &Self);
            on.iq(address, IqKind::Get, (ns::DISCO_ITEMS, "query"), Access::Public, &Self);
        }
        on.discovery(AddressKind::Account, &Sessions);
        on.discovery(AddressKind::Host, &Capabilities).discovery(AddressKind::Host, &Services);
    }
}

#[async_trait]
impl IqHandler for Disco {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let (Some(to), Some(from)) = (&request.head.to, &request.head.from) else {
            return Err(Condition::BadRequest.into());
        };
        let query = request.payload().ok_or(Condition::BadRequest)?;
        let written = query.attr("node");
        // "The value of the 'node' attribute MUST NOT be null": an empty one is none.
        let node = written.as_deref().filter(|node| !node.is_empty());
        let filter = TypeFilter::in_query(&query).map_err(|_| Condition::BadRequest)?;
        let asked = Asked { to, from, node, filter: filter.as_ref() };
        match query.ns() {
            ns::DISCO_INFO => {
                let (info, nested) = nested(cx, asked, info(cx, asked).await?);
                Ok(Some(info.to_node(written.as_deref()).raw(nested)))
            }
            _ => {
                // One that cannot be read is ignored, as by all addresses that have no pages.
                let wanted = SetRequest::in_query(&query).ok().flatten();
                let page = items(cx, asked, wanted.as_ref()).await?;
                Ok(Some(disco::items(written.as_deref(), &page)))
            }
        }
    }
}

/// What an address is and can do (XEP-0030 §3.1): what is announced for all addresses of its kind, and
/// what the providers add. Of a node: what the first provider tells that knows it.
async fn info(cx: &Cx<'_>, asked: Asked<'_>) -> Result<Info, StanzaError> {
    let mut found = if asked.node.is_none() { announced(cx, asked.to) } else { None };
    for provider in providers(cx, asked.to) {
        let Some(more) = provider.info(cx, asked).await? else { continue };
        if asked.node.is_some() {
            return Ok(more);
        }
        found.get_or_insert_default().add(more);
    }
    found.ok_or_else(|| Condition::ItemNotFound.into())
}

/// With what components announce for the namespaces that are delegated to them (XEP-0355 §7.2).
fn nested(cx: &Cx<'_>, asked: Asked<'_>, info: Info) -> (Info, Vec<u8>) {
    match cx.server.destination(asked.to) {
        Destination::Host(host) if asked.node.is_none() => {
            delegations::nest(cx.server, &host.domain, false, info)
        }
        Destination::Account(host, _) if asked.node.is_none() => {
            delegations::nest(cx.server, &host.domain, true, info)
        }
        _ => (info, Vec::new()),
    }
}

/// What is found at an address (XEP-0030 §4.1): what all providers tell. Of a node: what the first
/// provider tells that knows it.
async fn items(
    cx: &Cx<'_>,
    asked: Asked<'_>,
    wanted: Option<&SetRequest>,
) -> Result<ItemPage, StanzaError> {
    let mut found = ItemPage::default();
    for provider in providers(cx, asked.to) {
        let Some(more) = provider.page(cx, asked, wanted).await? else { continue };
        if asked.node.is_some() {
            return Ok(more);
        }
        found.items.extend(more.items);
        // Only a service has pages, and it is the only provider.
        found.set = found.set.or(more.set);
    }
    match asked.node {
        None => Ok(found),
        Some(_) if is_hidden(cx, asked).await? => Ok(found),
        Some(_) => Err(Condition::ItemNotFound.into()),
    }
}

fn providers<'a>(cx: &Cx<'a>, to: &Jid) -> Vec<&'a dyn Discovery> {
    let registry = cx.registry;
    match cx.server.destination(to) {
        Destination::Account(..) | Destination::Session(..) => {
            registry.providers(AddressKind::Account).collect()
        }
        Destination::Host(_) => registry.providers(AddressKind::Host).collect(),
        Destination::Remote => Vec::new(),
        Destination::Service(at) => vec![cx.registry.service_at(at)],
    }
}

/// What is announced for all addresses of this kind. `None` for an address at a service: whether there
/// is such an address, only the service knows.
fn announced(cx: &Cx<'_>, to: &Jid) -> Option<Info> {
    let (registry, config) = (cx.registry, cx.server.config.load());
    match cx.server.destination(to) {
        Destination::Account(_, user) if is_anonymous(cx, &user) => {
            Some(registry.info_of_anonymous())
        }
        Destination::Account(..) | Destination::Session(..) => {
            Some(registry.info(AddressKind::Account))
        }
        Destination::Host(host) => {
            Some(registry.info_of_domain(AddressKind::Host, &config, &host.domain))
        }
        Destination::Service(at) if *to == at.jid => {
            let service = registry.service_at(at);
            let mut info = registry.info_of_domain(AddressKind::Service, &config, to.domain());
            info.add(Info {
                identities: vec![service.identity()],
                features: service.disco_features().to_vec(),
                forms: Vec::new(),
            });
            Some(info)
        }
        Destination::Remote | Destination::Service(_) => None,
    }
}

/// Whether the user asks about an account that is one in name only, as the user has logged in without
/// one (XEP-0175).
fn is_anonymous(cx: &Cx<'_>, user: &BareJid) -> bool {
    cx.origin.is_of(user) && cx.origin.session().is_some_and(SessionRef::is_anonymous)
}

/// The account tells the sender nothing of its items, whether it exists or not (XEP-0030 §8).
async fn is_hidden(cx: &Cx<'_>, asked: Asked<'_>) -> Result<bool, StanzaError> {
    match cx.server.destination(asked.to) {
        Destination::Account(_, user) => {
            Ok(!cx.origin.is_of(&user) && !cx.shows_presence(&user, asked.from).await?)
        }
        _ => Ok(false),
    }
}

/// The items of an account are its available sessions.
struct Sessions;

#[async_trait]
impl Discovery for Sessions {
    async fn items(&self, cx: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Vec<Item>>, StanzaError> {
        if asked.node.is_some() || is_hidden(cx, asked).await? {
            return Ok(None);
        }
        let sessions = cx.server.sessions.available(&asked.to.to_bare());
        let item = |session: &SessionRef| Item::of(session.jid().clone().into_jid());
        Ok(Some(sessions.iter().map(item).collect()))
    }
}

/// The items of a host are its services.
struct Services;

#[async_trait]
impl Discovery for Services {
    async fn items(&self, cx: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Vec<Item>>, StanzaError> {
        if asked.node.is_some() {
            return Ok(None);
        }
        let here = cx.server.services().iter().filter(|at| at.host.domain == cx.host.domain);
        let item = |at: &ServiceDomain| {
            let name = cx.registry.service_at(at).identity().name;
            Item { name, ..Item::of(at.jid.clone()) }
        };
        Ok(Some(here.map(item).collect()))
    }
}
