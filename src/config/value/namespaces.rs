//! Namespaces of requests.

use toml::de::DeValue;

use super::list::{array, each};
use super::{Kind, Refusal, Value, inline_table, quote, refuse, wrong_type};
use crate::config::privilege::{Delegation, NamespaceGrant, RequestGrant};
use crate::ns::DELEGATION;

/// A table of namespaces and words.
pub(in crate::config) struct NamespaceTable;

impl Kind<Vec<NamespaceGrant>> for NamespaceTable {
    fn describe(&self) -> String {
        "a table of namespaces, each with `\"get\"`, `\"set\"`, `\"both\"` or `\"none\"`".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Vec<NamespaceGrant>, Vec<Refusal>> {
        let help = "write for example { \"https://example.org/notes\" = \"set\" }";
        let DeValue::Table(table) = value.get_ref() else {
            return wrong_type(value, "a table of namespaces", help);
        };
        let (mut all, mut refusals) = (Vec::new(), Vec::new());
        for (key, value) in table {
            let ns = key.get_ref().to_string();
            let text = value.get_ref().as_str().unwrap_or_default();
            let word = RequestGrant::WORDS.iter().find(|(word, ..)| *word == text);
            match word {
                _ if ns.is_empty() => refusals.push(Refusal {
                    at: key.span(),
                    message: "has an empty namespace".to_owned(),
                    help: Some(help.to_owned()),
                }),
                Some((_, requests, _)) => all.push(NamespaceGrant { ns, requests: *requests }),
                None => refusals.push(Refusal {
                    at: value.span(),
                    message: format!("has {} for {}", quote(text), quote(&ns)),
                    help: Some("write \"get\", \"set\", \"both\" or \"none\"".to_owned()),
                }),
            }
        }
        if refusals.is_empty() { Ok(all) } else { Err(refusals) }
    }

    fn write(&self, value: &Vec<NamespaceGrant>) -> Option<String> {
        let one = |each: &NamespaceGrant| {
            format!("{} = {}", quote(&each.ns), quote(each.requests.word()))
        };
        Some(inline_table(&value.iter().map(one).collect::<Vec<_>>()))
    }
}

/// A table of namespaces and attributes.
pub(in crate::config) struct DelegationTable;

impl Kind<Vec<Delegation>> for DelegationTable {
    fn describe(&self) -> String {
        "a table of namespaces, each with a list of attributes".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Vec<Delegation>, Vec<Refusal>> {
        let help = "write for example { \"https://example.org/notes\" = [\"node\"] }";
        let DeValue::Table(table) = value.get_ref() else {
            return wrong_type(value, "a table of namespaces", help);
        };
        let (mut all, mut refusals) = (Vec::new(), Vec::new());
        for (key, value) in table {
            let ns = key.get_ref().to_string();
            // XEP-0355 §8: this one is not delegated.
            if ns.is_empty() || ns == DELEGATION {
                let message = format!("has {}, which cannot be delegated", quote(&ns));
                let help = Some("name another namespace".to_owned());
                refusals.push(Refusal { at: key.span(), message, help });
                continue;
            }
            let attributes = each(value, |item| match item.get_ref().as_str() {
                Some(name) if !name.is_empty() => Ok(name.to_owned()),
                Some(_) => refuse(item, "has an empty attribute", "remove it".to_owned()),
                None => wrong_type(item, "a table with lists of attributes", help),
            });
            match attributes {
                Ok(attributes) => all.push(Delegation { ns, attributes }),
                Err(refused) => refusals.extend(refused),
            }
        }
        if refusals.is_empty() { Ok(all) } else { Err(refusals) }
    }

    fn write(&self, value: &Vec<Delegation>) -> Option<String> {
        let one = |each: &Delegation| format!("{} = {}", quote(&each.ns), array(&each.attributes));
        Some(inline_table(&value.iter().map(one).collect::<Vec<_>>()))
    }
}
