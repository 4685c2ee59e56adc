//! Lists: URIs, accounts, words.

use toml::Spanned;
use toml::de::DeValue;

use super::{Kind, Refusal, Value, quote, refuse, wrong_type};
use crate::jid::BareJid;

/// A list of URIs, or a single URI.
pub(in crate::config) struct Uris;

impl Kind<Vec<String>> for Uris {
    fn describe(&self) -> String {
        "a list of URIs, for example `[\"mailto:abuse@example.org\", \"xmpp:help@example.org\"]`"
            .to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Vec<String>, Vec<Refusal>> {
        each(value, |item| {
            let example = "write for example \"mailto:abuse@example.org\"";
            let Some(text) = item.get_ref().as_str() else {
                return wrong_type(item, "a list of URIs", example);
            };
            let is_uri = text.split_once(':').is_some_and(|(scheme, rest)| {
                scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                    && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
                    && !rest.is_empty()
            });
            let is_plain = text.chars().all(|c| c.is_ascii_graphic() && !"<>\"{}|\\^`".contains(c));
            if is_uri && is_plain {
                return Ok(text.to_owned());
            }
            let help = match text.contains('@') && !text.contains(':') {
                true => format!("write \"mailto:{text}\" or \"xmpp:{text}\""),
                false => example.to_owned(),
            };
            refuse(item, format!("has {}, which is no URI", quote(text)), help)
        })
    }

    fn write(&self, value: &Vec<String>) -> Option<String> {
        Some(array(value))
    }
}

/// A list of accounts, or a single account.
pub(in crate::config) struct Accounts;

impl Kind<Vec<BareJid>> for Accounts {
    fn describe(&self) -> String {
        "a list of accounts, for example `[\"juliet@example.org\"]`".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Vec<BareJid>, Vec<Refusal>> {
        each(value, |item| {
            let help = "write for example \"juliet@example.org\"";
            let Some(text) = item.get_ref().as_str() else {
                return wrong_type(item, "a list of accounts", help);
            };
            match BareJid::parse(text) {
                Ok(jid) if jid.local().is_some() => Ok(jid),
                _ => refuse(
                    item,
                    format!("has {}, which is not an account", quote(text)),
                    help.into(),
                ),
            }
        })
    }

    fn write(&self, value: &Vec<BareJid>) -> Option<String> {
        Some(array(&value.iter().map(|jid| jid.as_str()).collect::<Vec<_>>()))
    }
}

/// A list of words, or a single word.
pub(in crate::config) struct Words;

impl Kind<Vec<String>> for Words {
    fn describe(&self) -> String {
        "a list of words".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Vec<String>, Vec<Refusal>> {
        each(value, |item| match item.get_ref().as_str() {
            Some(text) if !text.is_empty() => Ok(text.to_lowercase()),
            Some(_) => refuse(item, "has an empty word", "remove it".to_owned()),
            None => wrong_type(item, "a list of words", "write for example [\"admin\", \"root\"]"),
        })
    }

    fn write(&self, value: &Vec<String>) -> Option<String> {
        Some(array(value))
    }
}

/// Reads each item of a list, or a single item. Returns all errors.
pub(super) fn each<T>(
    value: &Value<'_>,
    read: impl Fn(&Spanned<DeValue<'_>>) -> Result<T, Vec<Refusal>>,
) -> Result<Vec<T>, Vec<Refusal>> {
    let Some(list) = value.get_ref().as_array() else {
        return read(value).map(|one| vec![one]);
    };
    let (mut all, mut refusals) = (Vec::new(), Vec::new());
    for item in list.iter() {
        match read(item) {
            Ok(one) => all.push(one),
            Err(refused) => refusals.extend(refused),
        }
    }
    if refusals.is_empty() { Ok(all) } else { Err(refusals) }
}

pub(super) fn array<T: AsRef<str>>(texts: &[T]) -> String {
    let all: Vec<_> = texts.iter().map(|text| quote(text.as_ref())).collect();
    format!("[{}]", all.join(", "))
}
