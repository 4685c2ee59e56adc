//! What is told of nodes (XEP-0060 §5.2 to §5.5): nodes of an account or service, their items, and what each
//! node is.

use async_trait::async_trait;

use super::features::META_DATA;
use super::items;
use super::place::Place;
use crate::host::{Asked, Cx, Discovery};
use crate::ns;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind};
use crate::payload::disco::{Identity, Info, Item, ItemPage};
use crate::payload::node_config::{AccessModel, NodeConfig};
use crate::payload::result_set::{SetAnswer, SetRequest, Start};
use crate::payload::type_filter::TypeFilter;
use crate::pubsub::headers;
use crate::stanza::{Condition, StanzaError};
use crate::storage::{Affiliation, ItemQuery, NodeSummary, PubSubItem, PubSubNode};

/// Of accounts.
pub(super) struct OfAccount;

#[async_trait]
impl Discovery for OfAccount {
    async fn info(&self, cx: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Info>, StanzaError> {
        if asked.to.is_full() { Ok(None) } else { node_info(cx, asked).await }
    }

    async fn page(
        &self,
        cx: &Cx<'_>,
        asked: Asked<'_>,
        wanted: Option<&SetRequest>,
    ) -> Result<Option<ItemPage>, StanzaError> {
        if asked.to.is_full() {
            return Ok(None);
        }
        let place = Place::of(asked.to.to_bare());
        match asked.node {
            None => Ok(Some(nodes(cx, &place, asked, None, None, usize::MAX).await?.0.into())),
            Some(name) => in_node(cx, &place, asked, name, wanted).await,
        }
    }
}

/// What a node is. `None` if there is no such node, or the sender may not read it.
pub(super) async fn node_info(cx: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Info>, StanzaError> {
    let Some(name) = asked.node else { return Ok(None) };
    if name == headers::NS {
        let features = headers::NAMES.to_vec();
        return Ok(Some(Info { features, ..Info::default() }));
    }
    let place = Place::of(asked.to.to_bare());
    let Some((node, config)) = place.nodes.find(cx.server, name).await? else { return Ok(None) };
    let entity = place.entity(cx.server, asked.from, &node, &config).await?;
    // Users who may ask for a subscription must be able to see what the node is.
    let may_ask = config.access_model == AccessModel::Authorize
        && entity.affiliation != Some(Affiliation::Outcast);
    if !may_ask && entity.may_read(&config).is_err() {
        return Ok(None);
    }
    let kind = if config.is_collection() { "collection" } else { "leaf" };
    Ok(Some(Info {
        identities: vec![Identity { category: "pubsub", kind, name: None }],
        features: vec![ns::PUBSUB],
        forms: vec![metadata(&place, &node, &config)],
    }))
}

/// The metadata of a node (§5.4).
fn metadata(place: &Place, node: &PubSubNode, config: &NodeConfig) -> Form {
    let text = |var, kind, value: &str| Field::new(var, kind).value(value);
    let number = |var, value: u64| text(var, FieldKind::TextSingle, &value.to_string());
    let owners = place.owners(node);
    let publishers = node.affiliations.iter().filter(|(_, is)| *is == Affiliation::Publisher);
    let subscribers = node.subscriptions.iter().filter(|s| !s.is_pending).count() as u64;
    let mut form = Form::new(FormKind::Result)
        .form_type(META_DATA)
        .field(text("pubsub#type", FieldKind::TextSingle, &config.payload_type))
        .field(text("pubsub#creator", FieldKind::JidSingle, node.creator.as_str()))
        .field(text("pubsub#creation_date", FieldKind::TextSingle, &node.created.to_string()))
        .field(text("pubsub#title", FieldKind::TextSingle, &config.title))
        .field(text("pubsub#description", FieldKind::TextSingle, &config.description))
        .field(text("pubsub#language", FieldKind::ListSingle, &config.language));
    form = form
        .field(
            Field::new("pubsub#contact", FieldKind::JidMulti)
                .values(config.contact.iter().map(ToString::to_string)),
        )
        .field(
            Field::new("pubsub#owner", FieldKind::JidMulti)
                .values(owners.iter().map(ToString::to_string)),
        )
        .field(
            Field::new("pubsub#publisher", FieldKind::JidMulti)
                .values(publishers.map(|(jid, _)| jid.to_string())),
        )
        .field(number("pubsub#num_subscribers", subscribers))
        .field(number("pubsub#max_items", config.keep() as u64));
    form.field(text("pubsub#access_model", FieldKind::ListSingle, config.access_model.as_str()))
        .field(text("pubsub#publish_model", FieldKind::ListSingle, config.publish_model.as_str()))
}

/// A page of the nodes of a service (XEP-0060 §5.2, XEP-0059), forwards; or of what is in a node. `None` if the sender sees
/// no such node.
///
/// # Errors
/// `feature-not-implemented` for a page of nodes that does not begin at the beginning or after a node (XEP-0059 §2.6).
pub(super) async fn page(
    cx: &Cx<'_>,
    asked: Asked<'_>,
    wanted: Option<&SetRequest>,
) -> Result<Option<ItemPage>, StanzaError> {
    let place = Place::of(asked.to.to_bare());
    match asked.node {
        Some(name) => in_node(cx, &place, asked, name, wanted).await,
        None => page_of_nodes(cx, &place, asked, None, wanted).await.map(Some),
    }
}

/// A page of the nodes in a collection, or of those in none.
///
/// # Errors
/// As [`page`].
async fn page_of_nodes(
    cx: &Cx<'_>,
    place: &Place,
    asked: Asked<'_>,
    collection: Option<&str>,
    wanted: Option<&SetRequest>,
) -> Result<ItemPage, StanzaError> {
    let whole = SetRequest::default();
    let set = wanted.unwrap_or(&whole);
    let after = match &set.from {
        Start::First => None,
        Start::After(name) => Some(name.clone()),
        Start::Before(_) | Start::Index(_) | Start::Last => {
            return Err(Condition::FeatureNotImplemented.into());
        }
    };
    let limit = set.limit(MAX_LISTED);
    if limit == 0 {
        let count = nodes(cx, place, asked, collection, None, usize::MAX).await?.0.len();
        let set = Some(SetAnswer { page: None, count: Some(count) });
        return Ok(ItemPage { items: Vec::new(), set });
    }
    let (items, has_more) = nodes(cx, place, asked, collection, after, limit).await?;
    let name = |item: &Item| item.node.as_ref().map(ToString::to_string).unwrap_or_default();
    let index = (set.from == Start::First).then_some(0);
    let page = items.first().zip(items.last()).map(|(one, last)| (name(one), name(last), index));
    let is_whole = wanted.is_none() && !has_more;
    let set = (!is_whole).then_some(SetAnswer { page, count: None });
    Ok(ItemPage { items, set })
}

/// Who looks at nodes, and what it may see of them.
struct Viewer<'a> {
    place: &'a Place,
    is_owner: bool,
    sees_presence: bool,
    affiliated: Vec<(String, Affiliation)>,
    /// Only nodes of these types (XEP-0462).
    filter: Option<&'a TypeFilter>,
}

impl<'a> Viewer<'a> {
    async fn of(cx: &Cx<'_>, place: &'a Place, asked: Asked<'a>) -> Result<Self, StanzaError> {
        let from = asked.from;
        let store = cx.server.storage.pubsub();
        let is_owner = place.is_account() && place.is_of(from);
        let affiliated = match is_owner {
            true => Vec::new(),
            false => store.affiliations_of(&place.owner, &from.to_bare()).await?,
        };
        let asks = place.is_account() && !is_owner;
        let sees_presence = asks && cx.shows_presence(&place.owner, from).await?;
        Ok(Self { place, is_owner, sees_presence, affiliated, filter: asked.filter })
    }

    fn sees(&self, name: &str, config: &NodeConfig) -> bool {
        let (is_account, affiliated) = (self.place.is_account(), &self.affiliated);
        match affiliated.iter().find(|(node, _)| node == name).map(|(_, is)| *is) {
            _ if self.is_owner => true,
            Some(Affiliation::Outcast) => false,
            // XEP-0163 §6.2: only what the contact may subscribe to or read.
            Some(Affiliation::PublishOnly) => !is_account,
            Some(_) => true,
            None => match config.access_model {
                AccessModel::Open | AccessModel::Authorize => self.sees_presence || !is_account,
                AccessModel::Presence => self.sees_presence,
                AccessModel::Roster | AccessModel::Whitelist => false,
            },
        }
    }

    /// A node, if it is seen and wanted.
    fn item(&self, node: &NodeSummary) -> Option<Item> {
        let config = NodeConfig::from_text(&node.config);
        if self.filter.is_some_and(|filter| !filter.passes(&config.payload_type)) {
            return None;
        }
        let title = Some(config.title.as_str()).filter(|title| !title.is_empty());
        self.sees(&node.name, &config).then(|| Item {
            node: Some(node.name.as_str().into()),
            name: title.map(Into::into),
            ..Item::of(self.place.owner.clone().into_jid())
        })
    }
}

/// The nodes after a name that the sender may see and that are in a collection, or in none, in the order of their names, at most
/// so many, and whether there are more.
async fn nodes(
    cx: &Cx<'_>,
    place: &Place,
    asked: Asked<'_>,
    collection: Option<&str>,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<Item>, bool), StanzaError> {
    let store = cx.server.storage.pubsub();
    let viewer = Viewer::of(cx, place, asked).await?;
    let (mut found, mut after) = (Vec::new(), after);
    loop {
        let some = match collection {
            Some(name) => store.children(&place.owner, name, after.as_deref(), MAX_LISTED).await?,
            None => store.nodes(&place.owner, after.as_deref(), MAX_LISTED).await?,
        };
        let is_last = some.len() < MAX_LISTED;
        let here = some.iter().filter(|one| one.is_child == collection.is_some());
        for shown in here.filter_map(|one| viewer.item(one)) {
            if found.len() == limit {
                return Ok((found, true));
            }
            found.push(shown);
        }
        after = some.into_iter().next_back().map(|node| node.name);
        if is_last {
            return Ok((found, false));
        }
    }
}

/// What is in a node: the nodes in a collection, or a page of the items of a leaf; the newest, if none was asked for.
async fn in_node(
    cx: &Cx<'_>,
    place: &Place,
    asked: Asked<'_>,
    name: &str,
    wanted: Option<&SetRequest>,
) -> Result<Option<ItemPage>, StanzaError> {
    let Some((node, config)) = place.nodes.find(cx.server, name).await? else { return Ok(None) };
    if place.entity(cx.server, asked.from, &node, &config).await?.may_read(&config).is_err() {
        return Ok(None);
    }
    if config.is_collection() {
        return page_of_nodes(cx, place, asked, Some(name), wanted).await.map(Some);
    }
    let query = ItemQuery {
        which: items::of_set(wanted),
        max: wanted.map_or(MAX_LISTED, |set| set.limit(MAX_LISTED)),
        max_bytes: usize::MAX,
        since: items::since(cx, &config),
        payloads: false,
    };
    let store = cx.server.storage.pubsub();
    let page = store.items(&place.owner, name, query).await?.ok_or(Condition::ItemNotFound)?;
    let item = |item: &PubSubItem| Item {
        name: Some(item.id.as_str().into()),
        ..Item::of(place.owner.clone().into_jid())
    };
    let is_part = wanted.is_some() || (page.items.len() as u64) < page.count;
    let set = is_part.then(|| items::set_of(&page));
    Ok(Some(ItemPage { items: page.items.iter().map(item).collect(), set }))
}

/// Nodes on one page, and items of a node that are listed, at most.
const MAX_LISTED: usize = 1000;
