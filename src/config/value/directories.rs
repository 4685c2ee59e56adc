//! Directories that are served at paths of the web.

use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use super::{Kind, Refusal, Value, inline_table, quote, refuse, wrong_type};

/// Paths, each with its directory: a table. The longest path comes first.
pub(in crate::config) struct Directories;

impl Kind<Vec<(String, PathBuf)>> for Directories {
    fn describe(&self) -> String {
        "a table of paths with directories, for example `{ \"/chat\" = \"/srv/waxwing-chat\" }`"
            .to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Vec<(String, PathBuf)>, Vec<Refusal>> {
        let Some(table) = value.get_ref().as_table() else {
            return wrong_type(value, "a table", format!("write for example {EXAMPLE}"));
        };
        let (mut all, mut refusals) = (Vec::new(), Vec::new());
        for (path, directory) in table.iter() {
            match one(path.get_ref(), path.span(), directory) {
                Ok(one) => all.push(one),
                Err(refusal) => refusals.push(refusal),
            }
        }
        if !refusals.is_empty() {
            return Err(refusals);
        }
        all.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then(a.cmp(b)));
        if all.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return refuse(value, "has a path twice", "remove one of them".to_owned());
        }
        Ok(all)
    }

    fn write(&self, value: &Vec<(String, PathBuf)>) -> Option<String> {
        let line = |(path, directory): &(String, PathBuf)| {
            let path = if path.is_empty() { "/" } else { path };
            format!("{} = {}", quote(path), quote(&directory.to_string_lossy()))
        };
        Some(inline_table(&value.iter().map(line).collect::<Vec<_>>()))
    }
}

/// A path without a slash at its end, so that `/` is empty, and its directory.
fn one(
    path: &str,
    at: std::ops::Range<usize>,
    directory: &Spanned<DeValue<'_>>,
) -> Result<(String, PathBuf), Refusal> {
    let help = || Some(format!("write for example {EXAMPLE}"));
    let segments = path.strip_prefix('/').map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    let is_segment = |s: &str| !s.is_empty() && !s.starts_with('.') && s.chars().all(is_plain);
    let Some(segments) = segments.filter(|s| s.is_empty() || s.split('/').all(is_segment)) else {
        let message = format!("has {}, which is no path of plain names", quote(path));
        return Err(Refusal { at, message, help: help() });
    };
    let path = if segments.is_empty() { String::new() } else { format!("/{segments}") };
    match directory.get_ref().as_str() {
        Some(text) if !text.is_empty() && !text.contains('\0') => Ok((path, PathBuf::from(text))),
        _ => {
            let message = format!("has no directory for {}", quote(&path));
            Err(Refusal { at: directory.span(), message, help: help() })
        }
    }
}

/// The name of a file, without a directory.
pub(in crate::config) struct FileName;

impl Kind<String> for FileName {
    fn describe(&self) -> String {
        "the name of a file".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<String, Vec<Refusal>> {
        let help = "write for example \"index.html\"";
        match value.get_ref().as_str() {
            None => wrong_type(value, "a text", help),
            Some(text) if text.is_empty() || text.starts_with('.') => {
                refuse(value, "is empty or begins with a dot", help.to_owned())
            }
            Some(text) if text.contains(['/', '\\', '\0']) => {
                refuse(value, "is not only a name", help.to_owned())
            }
            Some(text) => Ok(text.to_owned()),
        }
    }

    fn write(&self, value: &String) -> Option<String> {
        Some(quote(value))
    }
}

const EXAMPLE: &str = "{ \"/chat\" = \"/srv/waxwing-chat\" }";
