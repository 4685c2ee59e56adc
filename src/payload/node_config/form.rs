//! The fields of a configuration in forms.

use super::collection::{Association, Links};
use super::{
    AccessModel, ConfigError, ItemReply, MAX_PAYLOAD, NODE_CONFIG, NodeConfig, NodeFull,
    NotificationType, PublishModel, SendLast,
};
use crate::jid::Jid;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind};

impl NodeConfig {
    /// The form with the values of this configuration (XEP-0060 §8.2), and with the parents and children of the node
    /// as far as they are known (XEP-0248 §7.2.1).
    pub fn to_form(&self, kind: FormKind, links: &Links) -> Form {
        let mut form = Form::new(kind).form_type(NODE_CONFIG);
        let of_other = if self.is_collection() { OF_LEAVES } else { OF_COLLECTIONS };
        for (var, field_kind, label) in FIELDS.iter().filter(|(var, ..)| !of_other.contains(var)) {
            let mut field = Field::new(var, *field_kind);
            if kind == FormKind::Form {
                field = field.label(label);
                for option in options(var) {
                    field = field.option(option, option);
                }
            }
            let values = if Links::VARS.contains(var) { links.get(var) } else { self.get(var) };
            form = form.field(field.values(values));
        }
        form
    }

    /// The values of a field.
    fn get(&self, var: &str) -> Vec<String> {
        let flag = |value: bool| vec![if value { "1" } else { "0" }.to_owned()];
        let word = |value: &str| vec![value.to_owned()];
        let text = |value: &String| if value.is_empty() { vec![] } else { vec![value.clone()] };
        match var {
            "pubsub#access_model" => word(self.access_model.as_str()),
            "pubsub#contact" => self.contact.iter().map(ToString::to_string).collect(),
            "pubsub#deliver_notifications" => flag(self.deliver_notifications),
            "pubsub#deliver_payloads" => flag(self.deliver_payloads),
            "pubsub#description" => text(&self.description),
            "pubsub#item_expire" => {
                vec![self.item_expire.map_or_else(|| "max".to_owned(), |s| s.to_string())]
            }
            "pubsub#itemreply" => word(self.itemreply.map_or(NOBODY, ItemReply::as_str)),
            "pubsub#language" => text(&self.language),
            "pubsub#max_items" => {
                vec![self.max_items.map_or_else(|| "max".to_owned(), |max| max.to_string())]
            }
            "pubsub#max_payload_size" => vec![self.max_payload_size.to_string()],
            "pubsub#node_type" => word(if self.is_collection() { "collection" } else { "leaf" }),
            "pubsub#notification_type" => word(self.notification_type.as_str()),
            "pubsub#notify_config" => flag(self.notify_config),
            "pubsub#notify_delete" => flag(self.notify_delete),
            "pubsub#notify_retract" => flag(self.notify_retract),
            "pubsub#notify_sub" => flag(self.notify_sub),
            "pubsub#persist_items" => flag(self.persist_items),
            "pubsub#presence_based_delivery" => flag(self.presence_based_delivery),
            "pubsub#publish_model" => word(self.publish_model.as_str()),
            "pubsub#publish_node_full" => word(self.publish_node_full.as_str()),
            "pubsub#roster_groups_allowed" => self.roster_groups_allowed.clone(),
            "pubsub#send_last_published_item" => word(self.send_last_published_item.as_str()),
            "pubsub#subscribe" => flag(self.subscribe),
            "pubsub#title" => text(&self.title),
            "pubsub#type" => text(&self.payload_type),
            _ => self.get_of_collection(var),
        }
    }

    /// Sets a field. A field without a value stays, unless it may be empty.
    pub(super) fn set(&mut self, var: &str, values: &[String]) -> Result<(), ConfigError> {
        if self.set_list(var, values)? || self.set_of_collection(var, values)? {
            return Ok(());
        }
        let value = match values {
            [] => "",
            [one] => one.as_str(),
            _ => return Err(ConfigError::Value),
        };
        match var {
            "pubsub#description" => value.clone_into(&mut self.description),
            "pubsub#itemreply" if matches!(value, "" | NOBODY) => self.itemreply = None,
            "pubsub#language" => value.clone_into(&mut self.language),
            "pubsub#title" => value.clone_into(&mut self.title),
            "pubsub#type" => value.clone_into(&mut self.payload_type),
            // What this server does not do, it may be told not to do.
            "pubsub#purge_offline" | "pubsub#tempsub" => match value {
                "" | "0" | "false" => {}
                _ => return Err(ConfigError::Value),
            },
            // Transformations that this server does not do; events contain the payloads as they are.
            "pubsub#body_xslt" | "pubsub#dataform_xslt" => {}
            // A publication puts no node into a collection.
            "pubsub#collection" | "pubsub#children" => match value {
                "" => {}
                _ => return Err(ConfigError::Value),
            },
            _ if value.is_empty() => match FIELDS.iter().any(|(known, ..)| *known == var) {
                true => {}
                false => return Err(ConfigError::Unknown),
            },
            "pubsub#access_model" => {
                self.access_model = AccessModel::parse(value).ok_or(ConfigError::AccessModel)?;
            }
            "pubsub#item_expire" => self.item_expire = number_or_max(value)?,
            "pubsub#itemreply" => self.itemreply = Some(word(ItemReply::parse(value))?),
            "pubsub#max_items" => {
                let max = number_or_max(value)?;
                self.max_items = max.map(|max| u32::try_from(max).unwrap_or(u32::MAX));
            }
            "pubsub#max_payload_size" => {
                let bytes: u64 = value.parse().map_err(|_| ConfigError::Value)?;
                self.max_payload_size = bytes.min(MAX_PAYLOAD.into()) as u32;
            }
            // See `set_kind`.
            "pubsub#node_type" => {}
            "pubsub#notification_type" => {
                self.notification_type = word(NotificationType::parse(value))?;
            }
            "pubsub#publish_model" => self.publish_model = word(PublishModel::parse(value))?,
            "pubsub#publish_node_full" => self.publish_node_full = word(NodeFull::parse(value))?,
            "pubsub#send_last_published_item" => {
                self.send_last_published_item = word(SendLast::parse(value))?;
            }
            _ => {
                let flag = self.flag(var).ok_or(ConfigError::Unknown)?;
                *flag = boolean(value)?;
            }
        }
        Ok(())
    }

    /// Sets a field that may have several values. `false` if this is none.
    fn set_list(&mut self, var: &str, values: &[String]) -> Result<bool, ConfigError> {
        let given = values.iter().filter(|value| !value.is_empty());
        match var {
            "pubsub#contact" => {
                let jids = given.map(|value| Jid::parse(value));
                self.contact = jids.collect::<Result<_, _>>().map_err(|_| ConfigError::Value)?;
            }
            "pubsub#roster_groups_allowed" => self.roster_groups_allowed = given.cloned().collect(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn flag(&mut self, var: &str) -> Option<&mut bool> {
        Some(match var {
            "pubsub#deliver_notifications" => &mut self.deliver_notifications,
            "pubsub#deliver_payloads" => &mut self.deliver_payloads,
            "pubsub#notify_config" => &mut self.notify_config,
            "pubsub#notify_delete" => &mut self.notify_delete,
            "pubsub#notify_retract" => &mut self.notify_retract,
            "pubsub#notify_sub" => &mut self.notify_sub,
            "pubsub#persist_items" => &mut self.persist_items,
            "pubsub#presence_based_delivery" => &mut self.presence_based_delivery,
            "pubsub#subscribe" => &mut self.subscribe,
            _ => return None,
        })
    }
}

pub(super) fn word<T>(value: Option<T>) -> Result<T, ConfigError> {
    value.ok_or(ConfigError::Value)
}

fn boolean(value: &str) -> Result<bool, ConfigError> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(ConfigError::Value),
    }
}

fn number_or_max(value: &str) -> Result<Option<u64>, ConfigError> {
    match value {
        "max" => Ok(None),
        _ => value.parse().map(Some).map_err(|_| ConfigError::Value),
    }
}

fn options(var: &str) -> Vec<&'static str> {
    match var {
        "pubsub#access_model" => AccessModel::ALL.iter().map(|one| one.as_str()).collect(),
        "pubsub#itemreply" => {
            [NOBODY].into_iter().chain(ItemReply::ALL.iter().map(|one| one.as_str())).collect()
        }
        "pubsub#children_association_policy" => {
            Association::WORDS.iter().map(|(word, _)| *word).collect()
        }
        "pubsub#node_type" => vec!["collection", "leaf"],
        "pubsub#notification_type" => {
            NotificationType::ALL.iter().map(|one| one.as_str()).collect()
        }
        "pubsub#publish_model" => PublishModel::ALL.iter().map(|one| one.as_str()).collect(),
        "pubsub#publish_node_full" => NodeFull::ALL.iter().map(|one| one.as_str()).collect(),
        "pubsub#send_last_published_item" => SendLast::ALL.iter().map(|one| one.as_str()).collect(),
        _ => Vec::new(),
    }
}

/// Replies go to nobody.
const NOBODY: &str = "none";

/// Fields that collections have not: they have no items.
const OF_LEAVES: &[&str] = &[
    "pubsub#item_expire",
    "pubsub#itemreply",
    "pubsub#max_items",
    "pubsub#max_payload_size",
    "pubsub#notify_retract",
    "pubsub#persist_items",
    "pubsub#publish_model",
    "pubsub#publish_node_full",
    "pubsub#send_last_published_item",
    "pubsub#type",
];

/// Fields that leaves have not.
const OF_COLLECTIONS: &[&str] = &[
    "pubsub#children",
    "pubsub#children_association_policy",
    "pubsub#children_association_whitelist",
    "pubsub#children_max",
];

use FieldKind::{Boolean, JidMulti, ListMulti, ListSingle, TextMulti, TextSingle};

/// Names, types and labels.
const FIELDS: &[(&str, FieldKind, &str)] = &[
    ("pubsub#title", TextSingle, "A short name for the node"),
    ("pubsub#description", TextSingle, "A description of the node"),
    ("pubsub#node_type", ListSingle, "The kind of node"),
    ("pubsub#collection", TextMulti, "The collections in which the node is"),
    ("pubsub#children", TextMulti, "The nodes in the collection"),
    ("pubsub#children_association_policy", ListSingle, "Who may put nodes into the collection"),
    ("pubsub#children_association_whitelist", JidMulti, "Who may, if a list says it"),
    ("pubsub#children_max", TextSingle, "Nodes in the collection, at most"),
    ("pubsub#type", TextSingle, "The namespace of the payloads"),
    // XEP-0060 §16.4.4. There are no options: any language tag will do.
    ("pubsub#language", ListSingle, "The language of the node"),
    ("pubsub#contact", JidMulti, "Whom to ask about the node"),
    ("pubsub#access_model", ListSingle, "Who may subscribe and read items"),
    ("pubsub#roster_groups_allowed", ListMulti, "The roster groups that may do so"),
    ("pubsub#publish_model", ListSingle, "Who may publish items"),
    ("pubsub#subscribe", Boolean, "Subscriptions are allowed"),
    ("pubsub#persist_items", Boolean, "Items are stored"),
    ("pubsub#max_items", TextSingle, "Items that are stored, at most: a number or max"),
    ("pubsub#publish_node_full", ListSingle, "What happens if there are too many items"),
    ("pubsub#item_expire", TextSingle, "Seconds after which an item is removed, or max"),
    ("pubsub#max_payload_size", TextSingle, "Bytes of a payload, at most"),
    ("pubsub#deliver_notifications", Boolean, "Events are sent"),
    ("pubsub#deliver_payloads", Boolean, "Events contain the payloads of items"),
    ("pubsub#notification_type", ListSingle, "The type of messages with events"),
    ("pubsub#presence_based_delivery", Boolean, "Events go to available users only"),
    ("pubsub#send_last_published_item", ListSingle, "When the last item is sent"),
    ("pubsub#notify_config", Boolean, "An event tells of a new configuration"),
    ("pubsub#notify_delete", Boolean, "An event tells that the node is deleted"),
    ("pubsub#notify_retract", Boolean, "An event tells that items are removed"),
    ("pubsub#notify_sub", Boolean, "Owners are told of subscriptions"),
    ("pubsub#itemreply", ListSingle, "To whom replies go"),
];
