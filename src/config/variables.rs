//! Replaces `${NAME}` in a string of the configuration by the environment variable. So one file can
//! serve several machines, and secrets can be stored elsewhere. Names of options and comments stay
//! unchanged.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problems;

/// Returns the value of a variable; `None` if it is not set.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces the variables in all strings of a document.
pub(super) fn expand(table: &mut DeTable<'_>, lookup: Lookup<'_>, problems: &mut Problems<'_>) {
    for (_, value) in table.iter_mut() {
        expand_value(value, lookup, problems);
    }
}

fn expand_value(value: &mut Spanned<DeValue<'_>>, lookup: Lookup<'_>, problems: &mut Problems<'_>) {
    let at = value.span();
    match value.get_mut() {
        DeValue::String(text) => {
            if let Some(full) = expanded(text, &at, lookup, problems) {
                *text = full.into();
            }
        }
        DeValue::Array(list) => {
            list.iter_mut().for_each(|item| expand_value(item, lookup, problems));
        }
        DeValue::Table(table) => expand(table, lookup, problems),
        DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Float(_) | DeValue::Integer(_) => {}
    }
}

/// `None` if the string has no variables.
fn expanded(
    text: &str,
    at: &Range<usize>,
    lookup: Lookup<'_>,
    problems: &mut Problems<'_>,
) -> Option<String> {
    let (mut out, mut rest) = (String::new(), text);
    let mut found = false;
    while let Some(start) = rest.find("${") {
        found = true;
        let before = &rest[..start];
        rest = &rest[start + 2..];
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            continue;
        }
        out.push_str(before);
        let name = rest.split_once('}').map(|(name, _)| name).filter(|name| is_name(name));
        let Some(name) = name else {
            let help = "write ${NAME}, with letters, digits and `_`; $${ stands for ${ itself";
            problems.add(at, "`${` begins no variable here", help.to_owned());
            return None;
        };
        rest = &rest[name.len() + 1..];
        let Some(value) = lookup(name) else {
            let help = format!("set {name} for the program, or write the value");
            problems.add(at, format!("the environment variable {name} is not set"), help);
            return None;
        };
        out.push_str(&value);
    }
    found.then(|| out + rest)
}

fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
