//! What an entity has answered to the question what it can do, and whether its hash stands for that.
//!
//! The thing to get wrong: a hash of XEP-0115 stands for a text from which the structure is lost, so two
//! different answers can have the same hash (XEP-0115 §8.3). An entity could make others believe wrong
//! things of all who send that hash. So what is kept of a verified answer is read from the text itself:
//! whoever has answered, it is the same.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::{Advertised, Algorithm, Version};
use crate::ns;
use crate::payload::data_form::{self, FORM_TYPE};
use crate::payload::disco::Info;
use crate::xml::{ElementRef, Frame};

/// What the answer of an entity says about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Description {
    /// The hash stands for it: it holds for everybody who sends the hash.
    pub is_verified: bool,
    /// The nodes of contacts' data whose changes it wants to hear of: its features that end in `+notify`,
    /// without that (XEP-0163 §4.3.3). Sorted, each once, with a bound in number and bytes.
    pub interests: Vec<SmolStr>,
}

/// Reads the answer to a question about [`Advertised::node`]. `lang` is the language of the answer, which
/// its parts inherit (XEP-0390 §4.1).
#[must_use]
pub fn read(advertised: &Advertised, query: &ElementRef<'_>, lang: Option<&str>) -> Description {
    let answer = Answer::of(query);
    let input = match advertised.version {
        Version::One => answer.as_ref().and_then(Answer::input_1).map(|input| vec![input]),
        Version::Two => answer.as_ref().and_then(|answer| answer.inputs_2(query, lang)),
    };
    let matches = |input: &Vec<u8>| {
        advertised.algorithm.is_some_and(|function| function.hash(input) == *advertised.hash)
    };
    let verified = input.into_iter().flatten().find(matches);
    let texts: Vec<&[u8]> = match &verified {
        Some(input) => input.split(|byte| [b'<', 0x1c, 0x1d, 0x1e, 0x1f].contains(byte)).collect(),
        None => {
            let features = answer.iter().flat_map(|answer| &answer.features);
            features.map(|feature| feature.as_bytes()).collect()
        }
    };
    Description { is_verified: verified.is_some(), interests: interests(&texts) }
}

/// The hash of XEP-0390 §4.1 by SHA-256 of what an entity is and can do, in base64. `None` if it has forms that the
/// algorithm does not take.
#[must_use]
pub fn hash_2(info: &Info) -> Option<String> {
    let frame = Frame::from_bytes(info.to_node(None).to_bytes()).ok()?;
    let answer = Answer::of(&frame.root())?;
    let input = answer.inputs_2(&frame.root(), None)?.pop()?;
    Some(Algorithm::Sha256.hash(&input))
}

fn interests(texts: &[&[u8]]) -> Vec<SmolStr> {
    let node = |text: &&[u8]| str::from_utf8(text.strip_suffix(NOTIFY)?).ok().map(SmolStr::new);
    let mut nodes: Vec<SmolStr> = texts.iter().filter_map(node).collect();
    nodes.retain(|node| !node.is_empty());
    nodes.sort_unstable();
    nodes.dedup();
    let mut bytes = 0;
    let fits = |node: &&SmolStr| {
        bytes += node.len();
        bytes <= MAX_BYTES
    };
    nodes.iter().take(MAX_NODES).take_while(fits).cloned().collect()
}

/// An answer, as it was written.
struct Answer {
    identities: Vec<Identity>,
    features: Vec<String>,
    forms: Vec<Form>,
    /// Whether it has elements that mean nothing here.
    has_others: bool,
}

#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
struct Identity {
    category: String,
    kind: String,
    lang: Option<String>,
    name: String,
}

struct Form {
    fields: Vec<Field>,
    /// Whether it has rows, which a form here may not have (XEP-0390 §4.1, step 2).
    has_rows: bool,
}

struct Field {
    var: String,
    kind: String,
    values: Vec<String>,
}

impl Answer {
    /// `None` if it is no answer, or an identity or feature lacks what it must have, or there are too many.
    fn of(query: &ElementRef<'_>) -> Option<Self> {
        if !query.is(ns::DISCO_INFO, "query") {
            return None;
        }
        let (identities, features, forms) = (Vec::new(), Vec::new(), Vec::new());
        let mut this = Self { identities, features, forms, has_others: false };
        for (n, child) in query.children().enumerate() {
            if n == MAX_PARTS {
                return None;
            }
            let text = |name: &str| child.attr(name).map(std::borrow::Cow::into_owned);
            if child.is(ns::DISCO_INFO, "identity") {
                this.identities.push(Identity {
                    category: text("category")?,
                    kind: text("type").unwrap_or_default(),
                    lang: child.attr_ns(ns::XML, "lang").map(std::borrow::Cow::into_owned),
                    name: text("name").unwrap_or_default(),
                });
            } else if child.is(ns::DISCO_INFO, "feature") {
                this.features.push(text("var").filter(|var| !var.is_empty())?);
            } else if child.is(data_form::NS, "x") {
                this.forms.push(Form::of(&child));
            } else {
                this.has_others = true;
            }
        }
        Some(this)
    }

    /// The text that is hashed (XEP-0115 §5.1). `None` if the answer is ill-formed (XEP-0115 §5.4, step 3).
    fn input_1(&self) -> Option<Vec<u8>> {
        let mut parts: Vec<&str> = Vec::new();
        let mut identities: Vec<_> = self.identities.iter().collect();
        identities.sort_unstable();
        for Identity { category, kind, lang, name } in &identities {
            let lang = lang.as_deref().unwrap_or_default();
            parts.extend([category, "/", kind, "/", lang, "/", name, "<"]);
        }
        let mut features: Vec<_> = self.features.iter().collect();
        features.sort_unstable();
        if has_twice(&identities) || has_twice(&features) {
            return None;
        }
        parts.extend(features.iter().flat_map(|feature| [feature.as_str(), "<"]));
        let mut forms = BTreeMap::new();
        for form in &self.forms {
            let Some(field) = form.form_type() else { continue };
            let kind = field.values.first().map_or("", String::as_str);
            let is_one = field.values.iter().all(|value| value == kind);
            if !is_one || forms.insert(kind, form).is_some() {
                return None;
            }
        }
        for (kind, form) in forms {
            parts.extend([kind, "<"]);
            let mut fields: Vec<_> = form.fields.iter().filter(|f| f.var != FORM_TYPE).collect();
            fields.sort_by(|a, b| a.var.cmp(&b.var));
            for field in fields {
                parts.extend([field.var.as_str(), "<"]);
                let mut values: Vec<_> = field.values.iter().map(String::as_str).collect();
                values.sort_unstable();
                parts.extend(values.iter().flat_map(|value| [value, "<"]));
            }
        }
        Some(parts.concat().into_bytes())
    }

    /// The octets that are hashed (XEP-0390 §4.1), with the language of each identity as it is written, and
    /// as it is inherited. `None` if the algorithm ends in an error.
    fn inputs_2(&self, query: &ElementRef<'_>, lang: Option<&str>) -> Option<Vec<Vec<u8>>> {
        let is_bad = |form: &Form| form.has_rows || form.form_type().is_none();
        if self.has_others || self.forms.iter().any(is_bad) {
            return None;
        }
        let of_query = query.attr_ns(ns::XML, "lang");
        let inherited = of_query.as_deref().or(lang).unwrap_or_default();
        Some([inherited, ""].iter().map(|lang| self.input_2(lang)).collect())
    }

    fn input_2(&self, lang: &str) -> Vec<u8> {
        let features = self.features.iter().map(|var| closed(&[var], 0x1f)).collect();
        let identity = |i: &Identity| {
            let lang = i.lang.as_deref().unwrap_or(lang);
            let mut octets = closed(&[&i.category, &i.kind, lang, &i.name], 0x1f);
            octets.push(0x1e);
            octets
        };
        let identities = self.identities.iter().map(identity).collect();
        let forms = self.forms.iter().map(Form::octets).collect();
        let parts: Vec<_> = [features, identities, forms].map(|part| joined(part, 0x1c)).into();
        parts.concat()
    }
}

impl Form {
    fn of(x: &ElementRef<'_>) -> Self {
        let is = |child: &ElementRef<'_>, name| child.is(data_form::NS, name);
        let mut fields = Vec::new();
        for field in x.children().filter(|child| is(child, "field")) {
            let text = |name| field.attr(name).unwrap_or_default().into_owned();
            let values = field.children().filter(|child| is(child, "value"));
            let values = values.map(|value| value.text().into_owned()).collect();
            fields.push(Field { var: text("var"), kind: text("type"), values });
        }
        let has_rows = x.children().any(|child| is(&child, "reported") || is(&child, "item"));
        Self { fields, has_rows }
    }

    /// The field that names the kind of form. `None` if there is none, or it is not hidden: then the form
    /// is ignored (XEP-0115 §5.4, step 3).
    fn form_type(&self) -> Option<&Field> {
        self.fields.iter().find(|field| field.var == FORM_TYPE && field.kind == "hidden")
    }

    fn octets(&self) -> Vec<u8> {
        let field = |field: &Field| {
            let values = field.values.iter().map(|value| closed(&[value], 0x1f)).collect();
            let mut octets = closed(&[&field.var], 0x1f);
            octets.append(&mut joined(values, 0x1e));
            octets
        };
        joined(self.fields.iter().map(field).collect(), 0x1d)
    }
}

/// The texts, each followed by this octet.
fn closed(texts: &[&str], end: u8) -> Vec<u8> {
    texts.iter().flat_map(|text| text.bytes().chain([end])).collect()
}

/// The parts in the order of their octets, and this octet behind them.
fn joined(mut parts: Vec<Vec<u8>>, end: u8) -> Vec<u8> {
    parts.sort_unstable();
    parts.push(vec![end]);
    parts.concat()
}

fn has_twice<T: PartialEq>(sorted: &[T]) -> bool {
    sorted.windows(2).any(|two| two[0] == two[1])
}

/// What a feature ends in that asks for changes of a node (XEP-0163 §4.3.3).
const NOTIFY: &[u8] = b"+notify";
/// Interests of a client. Clients of 2026 have up to 20.
const MAX_NODES: usize = 100;
/// Bytes of their names.
const MAX_BYTES: usize = 4096;
/// Identities, features and forms of an answer.
const MAX_PARTS: usize = 1000;

#[cfg(test)]
mod tests;
