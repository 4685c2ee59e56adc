//! The new password of an account: given, or made and shown once.

use serde_json::Value;

use super::account::optional;
use crate::admin::password;
use crate::host::command::{Argument, ArgumentKind, Arguments, CommandError, Outcome};

/// The argument for a password that the caller gives.
pub(super) const PASSWORD: Argument = optional("password", ArgumentKind::Password, "The password");

/// The argument for a password that is made.
pub(super) const RANDOM: Argument =
    optional("random", ArgumentKind::Flag, "Generate a random password and print it");

/// The new password of an account.
pub(super) enum Chosen {
    /// The caller gave it.
    Given(String),
    /// It was made.
    Random(String),
}

impl Chosen {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Given(password) | Self::Random(password) => password,
        }
    }
}

/// The password that the arguments give or ask for.
///
/// # Errors
/// [`CommandError::Invalid`] if there is none, or more than one.
pub(super) fn password_of(arguments: &Arguments) -> Result<Chosen, CommandError> {
    match (arguments.text("password"), arguments.flag("random")) {
        (Some(password), false) => Ok(Chosen::Given(password.to_owned())),
        (None, true) => Ok(Chosen::Random(password::random()?)),
        _ => Err(CommandError::Invalid("either a password or `random` must be given".to_owned())),
    }
}

/// Shows a password that was generated. The caller knows one that was given.
pub(super) fn with_password(text: String, mut json: Value, password: Chosen) -> Outcome {
    match password {
        Chosen::Given(_) => Outcome::Done { text, json },
        Chosen::Random(password) => {
            let text = format!("{text}\nPassword: {password}");
            json["password"] = Value::String(password);
            Outcome::Done { text, json }
        }
    }
}
