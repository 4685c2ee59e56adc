//! XEP-0030: Service Discovery. The identities and features of an entity.

use crate::ns;
use crate::xml::{Node, element};

/// Category, type and name of an entity (XEP-0030 §3.1).
pub type Identity<'a> = (&'a str, &'a str, Option<&'a str>);

/// The answer to `disco#info` (XEP-0030 §3.1).
pub fn info(node: Option<&str>, identities: &[Identity<'_>], features: &[&str]) -> Node {
    let mut query = element("query").ns(ns::DISCO_INFO).maybe_attr("node", node);
    for (category, kind, name) in identities {
        let identity = element("identity").attr("category", category).attr("type", kind);
        query = query.child(identity.maybe_attr("name", *name));
    }
    for var in features {
        query = query.child(element("feature").attr("var", var));
    }
    query
}
