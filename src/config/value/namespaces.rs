//! Namespaces of requests.

use toml::de::DeValue;

use super::{Kind, Refusal, Value, quote, wrong_type};
use crate::config::privilege::{NamespaceGrant, RequestGrant};

/// A table of namespaces and words.
pub(in crate::config) struct NamespaceTable;

impl Kind<Vec<NamespaceGrant>> for NamespaceTable {
    fn describe(&self) -> String {
        "a table of namespaces, each with `\"get\"`, `\"set\"`, `\"both\"` or `\"none\"`".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Vec<NamespaceGrant>, Vec<Refusal>> {
        let help = "write for example { \"urn:example:things\" = \"set\" }";
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
        let all: Vec<_> = value.iter().map(one).collect();
        if all.is_empty() {
            return Some("{}".to_owned());
        }
        Some(format!("{{ {} }}", all.join(", ")))
    }
}
