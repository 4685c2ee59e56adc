//! XEP-0030: what an address is and can do, and what there is to find.

use smol_str::SmolStr;

use super::data_form::Form;
use super::result_set::SetAnswer;
use crate::jid::Jid;
use crate::ns;
use crate::xml::{Node, element};

/// What an address is and can do (XEP-0030 §3.1).
#[derive(Clone, Debug, Default)]
pub struct Info {
    /// Who or what it is.
    pub identities: Vec<Identity>,
    /// The namespaces of what it can do.
    pub features: Vec<&'static str>,
    /// More about it, in forms of the type `result` with a `FORM_TYPE` (XEP-0128 §2).
    pub forms: Vec<Form>,
}

/// Who or what an address is (XEP-0030 §3.1).
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Identity {
    /// For example `server`.
    pub category: &'static str,
    /// For example `im`.
    pub kind: &'static str,
    /// For people.
    pub name: Option<SmolStr>,
}

/// Something that is found at an address (XEP-0030 §4.1).
#[derive(Clone, Debug)]
pub struct Item {
    /// Where it is.
    pub jid: Jid,
    /// Which node of that address, if it is not the address itself.
    pub node: Option<SmolStr>,
    /// For people.
    pub name: Option<SmolStr>,
}

/// A page of what is found at an address.
#[derive(Clone, Debug, Default)]
pub struct ItemPage {
    /// What is found.
    pub items: Vec<Item>,
    /// Which part of the whole it is, if the address has pages (XEP-0059).
    pub set: Option<SetAnswer>,
}

impl From<Vec<Item>> for ItemPage {
    fn from(items: Vec<Item>) -> Self {
        Self { items, set: None }
    }
}

impl Item {
    /// An address, without a node and a name.
    #[must_use]
    pub fn of(jid: Jid) -> Self {
        Self { jid, node: None, name: None }
    }
}

impl Info {
    /// Adds what `other` tells. Nothing is told twice.
    pub fn add(&mut self, other: Self) {
        self.identities.extend(other.identities);
        self.features.extend(other.features);
        self.forms.extend(other.forms);
        self.identities.sort_unstable();
        self.identities.dedup();
        self.features.sort_unstable();
        self.features.dedup();
    }

    /// The answer to `disco#info`, with the `node` that was asked for.
    pub fn to_node(&self, node: Option<&str>) -> Node {
        let mut query = element("query").ns(ns::DISCO_INFO).maybe_attr("node", node);
        for Identity { category, kind, name } in &self.identities {
            let identity = element("identity").attr("category", category).attr("type", kind);
            query = query.child(identity.maybe_attr("name", name.as_deref()));
        }
        for var in &self.features {
            query = query.child(element("feature").attr("var", var));
        }
        query.children(self.forms.iter().map(Form::to_node))
    }
}

/// The answer to `disco#items`, with the `node` that was asked for.
pub fn items(node: Option<&str>, page: &ItemPage) -> Node {
    let item = |item: &Item| {
        let node = element("item").attr("jid", item.jid.as_str());
        node.maybe_attr("node", item.node.as_deref()).maybe_attr("name", item.name.as_deref())
    };
    let query = element("query").ns(ns::DISCO_ITEMS).maybe_attr("node", node);
    query.children(page.items.iter().map(item)).children(page.set.as_ref().map(SetAnswer::to_node))
}
