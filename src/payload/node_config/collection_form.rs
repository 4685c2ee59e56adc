//! The fields of a configuration that only collections have (XEP-0248 §7.2), and the kind of a node.

use super::collection::{Association, CollectionConfig};
use super::form::word;
use super::{ConfigError, NodeConfig};
use crate::jid::Jid;
use crate::payload::data_form::Submitted;

impl NodeConfig {
    /// Makes the node what the form says that it is.
    pub(super) fn set_kind(&mut self, form: &Submitted) -> Result<(), ConfigError> {
        let kind = form.text("pubsub#node_type").map_err(|_| ConfigError::Value)?;
        match (kind, self.is_collection()) {
            (None | Some(""), _) | (Some("leaf"), false) | (Some("collection"), true) => {}
            (Some("collection"), false) => self.collection = Some(CollectionConfig::default()),
            (Some("leaf"), true) => return Err(ConfigError::Leaf),
            (Some(_), _) => return Err(ConfigError::Value),
        }
        Ok(())
    }

    /// Sets a field that only collections have. `false` if this is none. A leaf ignores them.
    pub(super) fn set_of_collection(
        &mut self,
        var: &str,
        values: &[String],
    ) -> Result<bool, ConfigError> {
        let mut ignored = CollectionConfig::default();
        let of = self.collection.as_mut().unwrap_or(&mut ignored);
        let given = values.iter().filter(|value| !value.is_empty());
        let one = || match values {
            [] => Ok(None),
            [one] => Ok(Some(one.as_str()).filter(|one| !one.is_empty())),
            _ => Err(ConfigError::Value),
        };
        match var {
            "pubsub#children_association_policy" => {
                if let Some(policy) = one()? {
                    of.policy = word(Association::parse(policy))?;
                }
            }
            "pubsub#children_association_whitelist" => {
                let jids = given.map(|value| Jid::parse(value));
                of.whitelist = jids.collect::<Result<_, _>>().map_err(|_| ConfigError::Value)?;
            }
            "pubsub#children_max" => match one()? {
                None => {}
                Some("max") => of.max = None,
                Some(max) => of.max = Some(max.parse().map_err(|_| ConfigError::Value)?),
            },
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The values of a field that only collections have.
    pub(super) fn get_of_collection(&self, var: &str) -> Vec<String> {
        let Some(of) = &self.collection else { return Vec::new() };
        match var {
            "pubsub#children_association_policy" => vec![of.policy.as_str().to_owned()],
            "pubsub#children_association_whitelist" => {
                of.whitelist.iter().map(ToString::to_string).collect()
            }
            "pubsub#children_max" => vec![of.max_children().to_string()],
            _ => Vec::new(),
        }
    }
}
