//! Strings: words of a list, paths, domains, log levels.

use std::path::PathBuf;

use super::{Kind, Refusal, Value, quote, refuse, wrong_type};
use crate::config::domain::prepare_domain;
use crate::config::nearest::nearest;

/// One of several words.
pub(in crate::config) struct OneOf<T: 'static>(
    pub(in crate::config) &'static [(&'static str, T, &'static str)],
);

impl<T: Copy + PartialEq> Kind<T> for OneOf<T> {
    fn describe(&self) -> String {
        let words: Vec<_> = self
            .0
            .iter()
            .map(|(word, _, docs)| format!("`\"{word}\"` ({})", phrase(docs)))
            .collect();
        format!("one of {}", words.join(", "))
    }

    fn read(&self, value: &Value<'_>) -> Result<T, Vec<Refusal>> {
        let words: Vec<_> = self.0.iter().map(|(word, ..)| *word).collect();
        let help = format!("write one of \"{}\"", words.join("\", \""));
        let Some(text) = value.get_ref().as_str() else {
            return wrong_type(value, "a text", help);
        };
        let found = self.0.iter().find(|(word, ..)| *word == text);
        let refused = || {
            let help = match nearest(text, words.iter().copied()) {
                Some(meant) => format!("write \"{meant}\""),
                None => help,
            };
            refuse(value, format!("cannot be {}", quote(text)), help)
        };
        found.map_or_else(refused, |(_, meaning, _)| Ok(*meaning))
    }

    fn write(&self, value: &T) -> Option<String> {
        self.0.iter().find(|(_, meaning, _)| meaning == value).map(|(word, ..)| quote(word))
    }
}

/// Makes a sentence of the documentation a part of another sentence. A word in capitals stays so.
fn phrase(docs: &str) -> String {
    let docs = docs.trim().trim_end_matches('.');
    let mut chars = docs.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => docs.to_owned(),
    }
}

/// A path. An `Option` is optional, and the text is an example.
pub(in crate::config) struct Path(pub(in crate::config) &'static str);

impl Kind<PathBuf> for Path {
    fn describe(&self) -> String {
        "a path".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<PathBuf, Vec<Refusal>> {
        let help = || format!("write a path in quotes, for example {}", self.0);
        match value.get_ref().as_str() {
            None => wrong_type(value, "a path", help()),
            Some("") => refuse(value, "is empty", help()),
            Some(text) if text.contains('\0') => refuse(value, "has a NUL character", help()),
            Some(text) => Ok(PathBuf::from(text)),
        }
    }

    fn write(&self, value: &PathBuf) -> Option<String> {
        Some(quote(&value.to_string_lossy()))
    }
}

impl Kind<Option<PathBuf>> for Path {
    fn describe(&self) -> String {
        Kind::<PathBuf>::describe(self)
    }

    fn read(&self, value: &Value<'_>) -> Result<Option<PathBuf>, Vec<Refusal>> {
        Kind::<PathBuf>::read(self, value).map(Some)
    }

    fn write(&self, value: &Option<PathBuf>) -> Option<String> {
        value.as_ref().and_then(|path| self.write(path))
    }

    fn example(&self) -> Option<&'static str> {
        Some(self.0)
    }
}

/// A text in one line. An `Option` is optional, and the text is an example.
pub(in crate::config) struct Text(pub(in crate::config) &'static str);

impl Kind<String> for Text {
    fn describe(&self) -> String {
        "a text in one line".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<String, Vec<Refusal>> {
        let help = || format!("write for example {}", self.0);
        match value.get_ref().as_str() {
            None => wrong_type(value, "a text", help()),
            Some("") => refuse(value, "is empty", help()),
            Some(text) if text.chars().any(char::is_control) => {
                refuse(value, "has more than one line", help())
            }
            Some(text) => Ok(text.to_owned()),
        }
    }

    fn write(&self, value: &String) -> Option<String> {
        Some(quote(value))
    }
}

impl Kind<Option<String>> for Text {
    fn describe(&self) -> String {
        Kind::<String>::describe(self)
    }

    fn read(&self, value: &Value<'_>) -> Result<Option<String>, Vec<Refusal>> {
        Kind::<String>::read(self, value).map(Some)
    }

    fn write(&self, value: &Option<String>) -> Option<String> {
        value.as_deref().map(quote)
    }

    fn example(&self) -> Option<&'static str> {
        Some(self.0)
    }
}

/// One label of a domain. The text is an example.
pub(in crate::config) struct Label(pub(in crate::config) &'static str);

impl Kind<String> for Label {
    fn describe(&self) -> String {
        "a name of letters, digits and hyphens".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<String, Vec<Refusal>> {
        let help = || format!("write for example {}", self.0);
        let Some(text) = value.get_ref().as_str() else {
            return wrong_type(value, "a text", help());
        };
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_label = text.chars().all(is_plain)
            && (1..=63).contains(&text.len())
            && !text.starts_with('-')
            && !text.ends_with('-');
        if is_label {
            return Ok(text.to_owned());
        }
        let help = match text.split_once('.') {
            Some((label, _)) if !label.is_empty() => {
                format!("write only what is before the host: {}", quote(&label.to_lowercase()))
            }
            _ => format!("write lower-case letters, digits and hyphens, for example {}", self.0),
        };
        refuse(value, format!("is not a part of a domain: {}", quote(text)), help)
    }

    fn write(&self, value: &String) -> Option<String> {
        Some(quote(value))
    }
}

/// A domain to serve. It is required.
pub(in crate::config) struct Domain;

impl Kind<String> for Domain {
    fn describe(&self) -> String {
        "a domain name".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<String, Vec<Refusal>> {
        let Some(text) = value.get_ref().as_str() else {
            return wrong_type(value, "a domain name", "write for example \"example.org\"");
        };
        let refused = |help| refuse(value, "is not a domain that can be served", help);
        prepare_domain(text).or_else(refused)
    }

    fn write(&self, value: &String) -> Option<String> {
        Some(quote(value))
    }

    fn example(&self) -> Option<&'static str> {
        Some("\"example.org\"")
    }

    fn required(&self) -> bool {
        true
    }
}

/// The log levels: a level, or a list of `part=level`.
pub(in crate::config) struct Levels;

impl Kind<String> for Levels {
    fn describe(&self) -> String {
        format!("a level ({}), or a list such as `\"info,waxwing::c2s=debug\"`", LEVELS.join(", "))
    }

    fn read(&self, value: &Value<'_>) -> Result<String, Vec<Refusal>> {
        let example = "write for example \"info\" or \"info,waxwing::c2s=debug\"";
        let Some(text) = value.get_ref().as_str() else {
            return wrong_type(value, "a text", example);
        };
        for directive in text.split(',') {
            let (part, level) = match directive.rsplit_once('=') {
                Some((part, level)) => (Some(part.trim()), level.trim()),
                None => (None, directive.trim()),
            };
            if !LEVELS.contains(&level) {
                let help = match nearest(level, LEVELS.iter().copied()) {
                    Some(meant) => format!("write \"{meant}\""),
                    None => format!("the levels are {}", LEVELS.join(", ")),
                };
                return refuse(value, format!("has no level {}", quote(level)), help);
            }
            if part.is_some_and(|part| !part.chars().all(is_of_a_path) || part.is_empty()) {
                return refuse(value, "has no part of the program before `=`", example.to_owned());
            }
        }
        Ok(text.replace(char::is_whitespace, ""))
    }

    fn write(&self, value: &String) -> Option<String> {
        Some(quote(value))
    }
}

fn is_of_a_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
