//! Compares what came with what a script expects.
//!
//! What the pattern names must be there; of what it does not name, only the usual head of a stanza
//! (`id`, `from`, `to`, `xml:lang`), what decorates an error, and, if it names none, one `<stanza-id/>`
//! (XEP-0359) may come. `scansion:strict="false"` on an element lets anything else come there, too;
//! `scansion:none="true"` says that there must be no element of this name with these attributes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

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
            (None, MAYBE | NONE) | (Some(_), MAYBE) => {}
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

/// `{scansion:any}` is any value; `{scansion:like a*b}` is one like this;
/// `{scansion:base64 a*b}` is what decodes to such a text;
/// `{scansion:keep name}` is any value, which is kept under this name.
fn fits(expected: &str, came: &str) -> bool {
    if let Some(pattern) = expected.strip_prefix("{scansion:base64 ") {
        let decoded = STANDARD.decode(came).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        return decoded.is_some_and(|text| is_like(pattern.trim_end_matches('}'), &text));
    }
    if let Some(pattern) = expected.strip_prefix("{scansion:like ") {
        return is_like(pattern.trim_end_matches('}'), came);
    }
    expected == ANY || kept_name(expected).is_some() || expected == came
}

/// Whether the text is as the pattern says, in which `*` stands for anything.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(begin) else { return false };
    text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| is_like(rest, &text[at..]))
}

fn kept_name(expected: &str) -> Option<&str> {
    expected.strip_prefix("{scansion:keep ")?.strip_suffix('}')
}

/// The values that a pattern which fits wants to be kept, with their names.
pub(crate) fn kept(expected: &Element, got: &Element) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (ns, name, value) in &expected.attributes {
        if let (Some(key), Some(came)) = (kept_name(value), attribute(got, ns, name)) {
            found.push((key.to_owned(), came.to_owned()));
        }
    }
    found.extend(kept_name(expected.text().trim()).map(|key| (key.to_owned(), got.text())));
    for child in expected.elements() {
        let other = got.elements().find(|other| compare(child, other, "", 1).is_none());
        found.extend(other.map(|other| kept(child, other)).unwrap_or_default());
    }
    found
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
        if attribute(child, SCANSION, "none") == Some("true") {
            let is_such = |other: &&&Element| {
                other.is(&child.ns, &child.name)
                    && attributes(child, other, "", depth + 1, false).is_none()
            };
            match rest.iter().find(is_such) {
                Some(other) => return Some(format!("at {path}: {other}, where none should be")),
                None => continue,
            }
        }
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
    let is_id = |other: &Element| depth == 0 && other.is("urn:xmpp:sid:0", "stanza-id");
    if !expected.elements().any(is_id)
        && let Some(at) = rest.iter().position(|other| is_id(other))
    {
        rest.remove(at);
    }
    let extra = rest.iter().find(|other| !is_decoration(other));
    extra.map(|other| format!("at {path}: unexpected {other}"))
}

/// The error of a stanza, or the failure of SASL.
fn is_error(element: &Element) -> bool {
    ["error", "failure"].contains(&element.name.as_str())
}

const ANY: &str = "{scansion:any}";
const MAYBE: &str = "{scansion:maybe}";
const NONE: &str = "{scansion:none}";
