//! What only collections have in their configuration, and what a form says of parents and children (XEP-0248 §7.2).

use serde::{Deserialize, Serialize};

use crate::jid::{BareJid, Jid};
use crate::payload::data_form::Submitted;

/// Who may put nodes into a collection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum Association {
    /// Everybody.
    All,
    /// The owners of the collection.
    #[default]
    Owners,
    /// Those, and whoever is on a list.
    Whitelist,
}

impl Association {
    /// The values in forms. The XEP's text says `owner`, its registry `owners`.
    pub(super) const WORDS: [(&'static str, Self); 3] =
        [("all", Self::All), ("owners", Self::Owners), ("whitelist", Self::Whitelist)];

    pub(super) fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, one)| *one == self).map_or("", |(word, _)| *word)
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        let word = if word == "owner" { "owners" } else { word };
        Self::WORDS.iter().find(|(one, _)| *one == word).map(|(_, one)| *one)
    }
}

/// What only collections have.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CollectionConfig {
    /// Who may put nodes into it.
    pub policy: Association,
    /// Who may, if a list says it.
    pub whitelist: Vec<Jid>,
    /// How many children it has at most; `None`: as many as the server allows.
    pub max: Option<u32>,
}

impl CollectionConfig {
    /// So many children it may have.
    #[must_use]
    pub fn max_children(&self) -> u32 {
        self.max.map_or(MAX_CHILDREN, |max| max.min(MAX_CHILDREN))
    }

    /// Whether this user may put nodes into it; its owners always may.
    #[must_use]
    pub fn may_associate(&self, user: &BareJid, is_owner: bool) -> bool {
        let is_listed = |one: &Jid| one.bare_str() == user.as_str();
        is_owner
            || match self.policy {
                Association::All => true,
                Association::Owners => false,
                Association::Whitelist => self.whitelist.iter().any(is_listed),
            }
    }
}

/// The parents and the children that a form wants a node to have, or those that it has. They are not part of the
/// configuration that is stored.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Links {
    /// The collections in which the node is; none: it is below the root. `None`: they stay.
    pub parents: Option<Vec<String>>,
    /// The nodes in the collection. `None`: they stay.
    pub children: Option<Vec<String>>,
}

impl Links {
    /// The fields of these.
    pub(super) const VARS: [&'static str; 2] = ["pubsub#children", "pubsub#collection"];

    /// Reads a form. An empty value is the root, which is no parent that one names (XEP-0248 §7.2.1).
    #[must_use]
    pub fn of(form: &Submitted) -> Self {
        let named = |var| {
            let mut names = form.values(var)?.to_vec();
            names.retain(|name| !name.is_empty());
            names.sort_unstable();
            names.dedup();
            Some(names)
        };
        Self { parents: named("pubsub#collection"), children: named("pubsub#children") }
    }

    /// The values of a field.
    pub(super) fn get(&self, var: &str) -> Vec<String> {
        match var {
            "pubsub#children" => self.children.clone().unwrap_or_default(),
            // The root: "it MUST reflect that in the node configuration data form" (XEP-0248 §8.1).
            _ => match self.parents.as_deref() {
                Some([]) => vec![String::new()],
                Some(parents) => parents.to_vec(),
                None => Vec::new(),
            },
        }
    }
}

/// Children of a collection, at most.
const MAX_CHILDREN: u32 = 1000;
