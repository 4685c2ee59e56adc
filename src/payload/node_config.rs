//! The configuration of a node of XEP-0060 (§16.4.4): typed values, which are read from forms, written to
//! forms, compared, and stored.

mod collection;
mod collection_form;
mod form;
#[cfg(test)]
mod tests;
mod words;

use serde::{Deserialize, Serialize};

use super::bookmarks;
use super::data_form::Submitted;
use crate::jid::Jid;
use crate::ns;

pub use collection::{Association, CollectionConfig, Links};
pub use words::{AccessModel, ItemReply, NodeFull, NotificationType, PublishModel, SendLast};

/// The `FORM_TYPE` of a configuration (XEP-0060 §16.4.4).
pub const NODE_CONFIG: &str = "http://jabber.org/protocol/pubsub#node_config";

/// The configuration of a node.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "each field is described by its label in `form.rs`")]
#[expect(clippy::struct_excessive_bools, reason = "they are those of the form")]
pub struct NodeConfig {
    pub access_model: AccessModel,
    /// `None`: it is a leaf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<CollectionConfig>,
    pub contact: Vec<Jid>,
    pub deliver_notifications: bool,
    pub deliver_payloads: bool,
    pub description: String,
    /// After how many seconds an item expires; `None`: never.
    pub item_expire: Option<u64>,
    pub itemreply: Option<ItemReply>,
    pub language: String,
    /// `None`: as many as the server allows.
    pub max_items: Option<u32>,
    pub max_payload_size: u32,
    pub notification_type: NotificationType,
    pub notify_config: bool,
    pub notify_delete: bool,
    pub notify_retract: bool,
    pub notify_sub: bool,
    pub persist_items: bool,
    pub presence_based_delivery: bool,
    pub publish_model: PublishModel,
    pub publish_node_full: NodeFull,
    pub roster_groups_allowed: Vec<String>,
    pub send_last_published_item: SendLast,
    pub subscribe: bool,
    pub title: String,
    /// The namespace of payloads; empty: any.
    pub payload_type: String,
}

/// Why a configuration is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// There is no such access model.
    #[error("unsupported access model")]
    AccessModel,
    /// A collection does not become a leaf (XEP-0248 §7.2.3.4).
    #[error("a collection stays one")]
    Leaf,
    /// A field has an invalid value.
    #[error("a field has an invalid value")]
    Value,
    /// A field is unknown.
    #[error("unknown field")]
    Unknown,
}

/// The default of accounts (XEP-0163 §3).
impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            access_model: AccessModel::Presence,
            collection: None,
            contact: Vec::new(),
            deliver_notifications: true,
            deliver_payloads: true,
            description: String::new(),
            item_expire: None,
            itemreply: None,
            language: String::new(),
            max_items: Some(1),
            max_payload_size: DEFAULT_PAYLOAD,
            notification_type: NotificationType::Headline,
            notify_config: false,
            notify_delete: true,
            notify_retract: true,
            notify_sub: false,
            persist_items: true,
            presence_based_delivery: true,
            publish_model: PublishModel::Publishers,
            publish_node_full: NodeFull::DiscardOldest,
            roster_groups_allowed: Vec::new(),
            send_last_published_item: SendLast::OnSubAndPresence,
            subscribe: true,
            title: String::new(),
            payload_type: String::new(),
        }
    }
}

impl NodeConfig {
    /// The default of services.
    #[must_use]
    pub fn of_service() -> Self {
        Self {
            access_model: AccessModel::Open,
            max_items: Some(20),
            notify_config: false,
            presence_based_delivery: false,
            ..Self::default()
        }
    }

    /// The default of this node of an account. What is for the user alone by its specification is made so, even if
    /// the client does not say it (XEP-0402 §3.3, XEP-0490 §4.2, XEP-0292 §5). Avatars are for everybody: rooms see them by
    /// the card, which has what everybody may see (XEP-0398 §6).
    #[must_use]
    pub fn of_account(name: &str) -> Self {
        let untold = |config| Self { send_last_published_item: SendLast::Never, ..config };
        match name {
            bookmarks::NS | ns::READ_STATE => untold(Self::private(None)),
            ns::CONTACT_CARDS => Self::private(None),
            ns::AVATAR_DATA | ns::AVATAR_METADATA => {
                Self { access_model: AccessModel::Open, ..Self::default() }
            }
            bookmarks::OLD_NS => untold(Self::private(Some(1))),
            _ => Self::default(),
        }
    }

    /// Only the owner may read, for data of an account (XEP-0223).
    #[must_use]
    pub fn private(max_items: Option<u32>) -> Self {
        Self { access_model: AccessModel::Whitelist, max_items, ..Self::default() }
    }

    /// As the store keeps it.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`NodeConfig::to_text`] wrote. What is missing has its default. If it cannot be read at all,
    /// only the owner may read the node.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let unreadable = |_| Self { access_model: AccessModel::Whitelist, ..Self::default() };
        serde_json::from_str(text).unwrap_or_else(unreadable)
    }

    /// It is a collection of nodes, and has no items (XEP-0248).
    #[must_use]
    pub fn is_collection(&self) -> bool {
        self.collection.is_some()
    }

    /// How many items the node keeps.
    #[must_use]
    pub fn keep(&self) -> usize {
        if self.is_collection() {
            return 0;
        }
        self.max_items.map_or(MAX_ITEMS, |max| (max as usize).min(MAX_ITEMS))
    }

    /// Sets the fields of a form; the others stay. Unknown fields are ignored (XEP-0004 §3.2), and so are those of
    /// [`Links`].
    ///
    /// # Errors
    /// If a value is invalid or not supported.
    pub fn apply(&mut self, form: &Submitted) -> Result<(), ConfigError> {
        // What the kind of node allows depends on it.
        self.set_kind(form)?;
        for var in form.vars().filter(|var| !Links::VARS.contains(var)) {
            match self.set(var, form.values(var).unwrap_or_default()) {
                Err(ConfigError::Unknown) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The same with the options of a publication, each of which is a precondition if the node exists
    /// (XEP-0060 §7.1.5).
    ///
    /// # Errors
    /// If a field is unknown, or a value is invalid or not supported.
    pub fn with_options(&self, form: &Submitted) -> Result<Self, ConfigError> {
        let mut wanted = self.clone();
        wanted.set_kind(form)?;
        for var in form.vars() {
            wanted.set(var, form.values(var).unwrap_or_default())?;
        }
        Ok(wanted)
    }

    /// Whether a publication with options that want `wanted` may go to this node: what differs only in the
    /// way it is written, or beyond what the server keeps, does not differ.
    #[must_use]
    pub fn meets(&self, wanted: &Self) -> bool {
        let comparable = |config: &Self| {
            let mut config = config.clone();
            config.max_items = Some(config.keep() as u32);
            config.roster_groups_allowed.sort_unstable();
            config.roster_groups_allowed.dedup();
            config
        };
        self == wanted || comparable(self) == comparable(wanted)
    }
}

/// Items that a node keeps, at most.
pub const MAX_ITEMS: usize = 10_000;
/// Bytes of a payload that a node may take, at most.
pub const MAX_PAYLOAD: u32 = 256 * 1024;
/// Bytes that a node takes by default. With what is around it, such a payload fits into a stanza (`limits.stanza`).
const DEFAULT_PAYLOAD: u32 = 240 * 1024;
