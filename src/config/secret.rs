//! A secret of the configuration. It is never printed: neither by `Debug`, nor with the line of an error.

use std::fmt;
use std::sync::Arc;

/// A secret, which this server shares with another one.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// A secret with this text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text. It must not be logged.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A line of a configuration, as an error may show it: the value of an option with a secret is hidden.
pub(super) fn hidden(line: &str) -> String {
    let Some(start) = secret_in(line) else { return line.to_owned() };
    let hide = |c: char| if c.is_whitespace() { c } else { '*' };
    line[..start].chars().chain(line[start..].chars().map(hide)).collect()
}

/// Whether what follows this text in its last line is a secret.
pub(super) fn has_secret(text: &str) -> bool {
    text.rsplit('\n').next().is_some_and(|line| secret_in(line).is_some())
}

/// Where the value of an option with a secret begins.
fn secret_in(line: &str) -> Option<usize> {
    let value_of = |name: &str| {
        let (at, _) = line.match_indices(name).find(|(at, _)| {
            let before = line[..*at].chars().next_back();
            let after = line[at + name.len()..].trim_start_matches(['"', '\'']).trim_start();
            before.is_none_or(|c| !c.is_alphanumeric() && c != '_') && after.starts_with('=')
        })?;
        Some(at + line[at..].find('=')? + 1)
    };
    NAMES.iter().filter_map(|name| value_of(name)).min()
}

/// The options that have a secret as their value.
const NAMES: &[&str] = &["secret", "password"];

#[cfg(test)]
mod tests {
    use super::{Secret, hidden};

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Some(Secret::new("north"))), "Some(Secret)");
    }

    #[test]
    fn the_line_of_an_error_hides_a_secret_and_nothing_else() {
        for (line, shown) in [
            ("secret = north", "secret = *****"),
            ("\"password\"='a b'", "\"password\"=** **"),
            ("secret_file = 'turn.secret'", "secret_file = 'turn.secret'"),
            (
                "external_services = { uris = 'a', secret = 7 }",
                "external_services = { uris = 'a', secret = * *",
            ),
            ("external_services.secret = 7 # ü", "external_services.secret = * * *"),
            ("# the secret of the server", "# the secret of the server"),
        ] {
            assert_eq!(hidden(line), shown);
        }
    }
}
