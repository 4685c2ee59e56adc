//! Secrets: as a text, or in a file of their own. No refusal repeats them.

use std::fs::File;
use std::io::Read;

use super::{Kind, Path, Refusal, Value, quote, refuse};
use crate::config::secret::Secret;

/// A secret as a text. It is optional, and the text is an example.
pub(in crate::config) struct SecretText(pub(in crate::config) &'static str);

impl Kind<Option<Secret>> for SecretText {
    fn describe(&self) -> String {
        "a text in one line; it is never shown".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Option<Secret>, Vec<Refusal>> {
        let help = format!("write it in quotes, or {}", self.0);
        match value.get_ref().as_str() {
            None => refuse(value, "must be a text", help),
            Some(text) => match wrong(text) {
                Some(wrong) => refuse(value, wrong, help),
                None => Ok(Some(Secret::new(text))),
            },
        }
    }

    fn write(&self, _: &Option<Secret>) -> Option<String> {
        None
    }

    fn example(&self) -> Option<&'static str> {
        Some(self.0)
    }

    fn warning(&self, value: &Option<Secret>) -> Option<String> {
        weak(value)
    }
}

/// A secret in a file of its own. It is optional, and the text is an example.
pub(in crate::config) struct SecretFile(pub(in crate::config) &'static str);

impl Kind<Option<Secret>> for SecretFile {
    fn describe(&self) -> String {
        "a path".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Option<Secret>, Vec<Refusal>> {
        let Some(path) = Path(self.0).read(value)? else { return Ok(None) };
        let shown = quote(&path.to_string_lossy());
        let mut text = String::new();
        let read =
            File::open(&path).and_then(|file| file.take(MOST as u64 + 1).read_to_string(&mut text));
        if let Err(error) = read {
            let help = "write the path of a file with the secret in its only line".to_owned();
            return refuse(value, format!("has {shown}, which cannot be read: {error}"), help);
        }
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        match wrong(text) {
            Some(wrong) => {
                let help = "write the secret into the file, in one line".to_owned();
                refuse(value, format!("has {shown}, which {wrong}"), help)
            }
            None => Ok(Some(Secret::new(text))),
        }
    }

    fn write(&self, _: &Option<Secret>) -> Option<String> {
        None
    }

    fn example(&self) -> Option<&'static str> {
        Some(self.0)
    }

    fn warning(&self, value: &Option<Secret>) -> Option<String> {
        weak(value)
    }
}

/// Why this text cannot be a secret.
fn wrong(text: &str) -> Option<&'static str> {
    match text {
        "" => Some("is empty"),
        _ if text.len() > MOST => Some("is too long"),
        _ if text.chars().any(char::is_control) => Some("has more than one line"),
        _ => None,
    }
}

fn weak(value: &Option<Secret>) -> Option<String> {
    let is_short = value.as_ref().is_some_and(|secret| secret.text().len() < ENOUGH);
    is_short.then(|| format!("is short: a secret of {ENOUGH} random characters cannot be guessed"))
}

/// Bytes of a secret, at most.
const MOST: usize = 1024;
/// Bytes of a secret that nobody guesses.
const ENOUGH: usize = 16;
