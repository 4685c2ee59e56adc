//! The arguments of a command: what it takes, and what a call gives.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::CommandError;

/// The kind of value that an argument takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ArgumentKind {
    /// A bare JID, or a local part, which means the domain that the caller named, else the default
    /// domain.
    Account,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A flag: `true` if it is given.
    Flag,
    /// A full JID.
    FullJid,
    /// A JID, bare or full; a local part alone means a domain as with accounts.
    Jid,
    /// Many lines of text: a file, or standard input. Never shown, never logged.
    Lines,
    /// A whole number.
    Number,
    /// A password: from a prompt or standard input. Never shown, never logged. A front asks for
    /// it unless the flag `random` of the same command is given.
    Password,
    /// Any text that may be private. Never logged.
    Private,
    /// Any text.
    Text,
}

/// One argument of a command.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// The name in every front, in snake case. On the command line `-` replaces `_`.
    pub name: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// The kind of its value.
    pub kind: ArgumentKind,
    /// Whether it is required. Required arguments are positional on the command line, in order (for lines:
    /// the name of a file, or nothing for standard input; a password is never positional). All others are
    /// options.
    pub required: bool,
}

/// The arguments of a call. They are checked against the command's list before it runs.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Arguments(pub Map<String, Value>);

impl Arguments {
    /// Checks that all given arguments are known and valid, and that no required one is missing.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] with the name of the first invalid argument.
    pub fn check(&self, known: &[Argument]) -> Result<(), CommandError> {
        let invalid = |text: String| Err(CommandError::Invalid(text));
        for (name, value) in &self.0 {
            let Some(argument) = known.iter().find(|argument| argument.name == name) else {
                return invalid(format!("there is no argument `{name}`"));
            };
            let fits = match argument.kind {
                ArgumentKind::Flag => value.is_boolean(),
                ArgumentKind::Number => value.is_u64(),
                ArgumentKind::Account
                | ArgumentKind::Choice(_)
                | ArgumentKind::FullJid
                | ArgumentKind::Jid
                | ArgumentKind::Lines
                | ArgumentKind::Password
                | ArgumentKind::Private
                | ArgumentKind::Text => value.is_string(),
            };
            if !fits {
                return invalid(format!("the argument `{name}` has the wrong type"));
            }
            if let ArgumentKind::Choice(words) = argument.kind
                && !words.iter().any(|word| value == word)
            {
                return invalid(format!("the argument `{name}` is one of {}", words.join(", ")));
            }
        }
        match known.iter().find(|a| a.required && !self.0.contains_key(a.name)) {
            Some(missing) => invalid(format!("the argument `{}` is missing", missing.name)),
            None => Ok(()),
        }
    }

    /// A flag: `false` if it is not given.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A number, if it is given.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(Value::as_u64)
    }

    /// A text of any kind, if it is given.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A required text.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] if it is missing.
    pub fn required(&self, name: &str) -> Result<&str, CommandError> {
        self.text(name)
            .ok_or_else(|| CommandError::Invalid(format!("the argument `{name}` is missing")))
    }
}

/// Shows the names only: a value may be a password.
impl std::fmt::Debug for Arguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Argument, ArgumentKind, Arguments};

    const KNOWN: &[Argument] = &[
        Argument { name: "account", help: "", kind: ArgumentKind::Account, required: true },
        Argument { name: "limit", help: "", kind: ArgumentKind::Number, required: false },
        Argument { name: "random", help: "", kind: ArgumentKind::Flag, required: false },
    ];

    fn problem(arguments: serde_json::Value) -> Option<String> {
        let arguments: Arguments = serde_json::from_value(arguments).unwrap();
        arguments.check(KNOWN).err().map(|error| error.to_string())
    }

    #[test]
    fn arguments_are_checked_against_the_list_of_the_command() {
        assert_eq!(problem(json!({"account": "romeo", "limit": 3, "random": true})), None);
        assert_eq!(problem(json!({})).unwrap(), "the argument `account` is missing");
        assert_eq!(
            problem(json!({"account": "a", "colour": 1})).unwrap(),
            "there is no argument `colour`"
        );
        for wrong in [
            json!({"account": 7}),
            json!({"account": "a", "limit": -1}),
            json!({"account": "a", "limit": "3"}),
            json!({"account": "a", "random": "yes"}),
        ] {
            assert!(problem(wrong.clone()).unwrap().ends_with("has the wrong type"), "{wrong}");
        }
    }

    #[test]
    fn arguments_do_not_show_their_values() {
        let arguments: Arguments = serde_json::from_value(json!({"password": "secret"})).unwrap();
        assert_eq!(format!("{arguments:?}"), r#"["password"]"#);
    }
}
