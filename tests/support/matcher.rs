//! Compares what came with what a script expects.
//!
//! What the pattern names must be there; of what it does not name, only the usual head of a stanza
//! (`id`, `from`, `to`, `xml:lang`) and what decorates an error may come. `scansion:strict="false"`
//! on an element lets anything else come there, too.

use super::element::{Element, SCANSION, XML};

/// Where two elements differ first, in words.
pub(crate) fn difference(expected: &Element, got: &Element) -> Option<String> {
    compare(expected, got, &expected.name, 0)
}

fn compare(expected: &Element, got: &Element, path: &str, depth: usize) -> Option<String> {
    if (&expected.ns, &expected.name) != (&got.ns, &got.name) {
        return Some(format!(
            "at {path}: expected <{} xmlns='{}'>, got <{} xmlns='{}'>",
            expected.name, expected.ns, got.name, got.ns
        ));
    }
    let is_strict = attribute(expected, SCANSION, "strict") != Some("false");
    attributes(expected, got, path, depth, is_strict)
        .or_else(|| texts(expected, got, path, is_strict))
        .or_else(|| children(expected, got, path, depth, is_strict))
}

fn attribute<'a>(element: &'a Element, ns: &str, name: &str) -> Option<&'a str> {
    let found = element.attributes.iter().find(|(n, l, _)| n == ns && l == name);
    found.map(|(_, _, value)| value.as_str())
}

fn attributes(
    expected: &Element,
    got: &Element,
    path: &str,
    depth: usize,
    is_strict: bool,
) -> Option<String> {
    for (ns, name, value) in expected.attributes.iter().filter(|(ns, _, _)| ns != SCANSION) {
        match (attribute(got, ns, name), value.as_str()) {
            (None, NONE) => {}
            (Some(came), NONE) => {
                return Some(format!("at {path}: there is {name}='{came}', where none should be"));
            }
            (None, _) => return Some(format!("at {path}: there is no {name}='{value}'")),
            (Some(came), _) if !fits(value, came) => {
                return Some(format!("at {path}: expected {name}='{value}', got '{came}'"));
            }
            (Some(_), _) => {}
        }
    }
    if !is_strict {
        return None;
    }
    let usual = |ns: &str, name: &str| {
        ns == XML && name == "lang"
            || depth == 0 && ns.is_empty() && ["id", "from", "to"].contains(&name)
            || is_error(expected) && ["by", "code"].contains(&name)
    };
    let extra = got
        .attributes
        .iter()
        .find(|(ns, name, _)| attribute(expected, ns, name).is_none() && !usual(ns, name));
    extra.map(|(_, name, value)| format!("at {path}: unexpected {name}='{value}'"))
}

/// `{scansion:any}` is any value.
fn fits(expected: &str, came: &str) -> bool {
    expected == ANY || expected == came
}

fn texts(expected: &Element, got: &Element, path: &str, is_strict: bool) -> Option<String> {
    let (wanted, came) = (expected.text(), got.text());
    let free = !is_strict && wanted.is_empty();
    (!free && !fits(&wanted, &came))
        .then(|| format!("at {path}: expected the text '{wanted}', got '{came}'"))
}

fn children(
    expected: &Element,
    got: &Element,
    path: &str,
    depth: usize,
    is_strict: bool,
) -> Option<String> {
    let mut rest: Vec<&Element> = got.elements().collect();
    for child in expected.elements() {
        let inside = format!("{path}/{}", child.name);
        let tried = rest.iter().map(|other| compare(child, other, &inside, depth + 1));
        let tried: Vec<_> = tried.collect();
        if let Some(at) = tried.iter().position(Option::is_none) {
            rest.remove(at);
            continue;
        }
        // The nearest one tells most.
        let near = rest.iter().position(|other| other.is(&child.ns, &child.name));
        return Some(match near.and_then(|at| tried[at].clone()) {
            Some(difference) => difference,
            None => format!("at {path}: there is no <{} xmlns='{}'>", child.name, child.ns),
        });
    }
    if !is_strict {
        return None;
    }
    // RFC 6120 §8.3.1: an error may carry what it answers; and text, and more conditions.
    let is_decoration = |other: &Element| {
        expected.attribute("type") == Some("error") && depth == 0 && other.name != "error"
            || is_error(expected)
    };
    let extra = rest.iter().find(|other| !is_decoration(other));
    extra.map(|other| format!("at {path}: unexpected {other}"))
}

fn is_error(element: &Element) -> bool {
    element.name == "error"
}

const ANY: &str = "{scansion:any}";
const NONE: &str = "{scansion:none}";
