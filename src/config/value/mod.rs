//! Kinds of values: how each one is read from TOML, its limits, and how it is written.

mod addresses;
mod directories;
mod jid;
mod list;
mod namespaces;
mod number;
mod policy;
mod secret;
mod servers;
mod service;
mod text;
mod web;

use std::fmt::Display;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

pub(super) use self::addresses::{Addresses, Location, Machines};
pub(super) use self::directories::{Directories, FileName};
pub(super) use self::jid::Address;
pub(super) use self::list::{Accounts, Uris, Words};
pub(super) use self::namespaces::{DelegationTable, NamespaceTable};
pub(super) use self::number::{Count, Retention, Size, Time};
pub(super) use self::policy::{Hours, SomeOf};
pub(super) use self::secret::{SecretFile, SecretText};
pub use self::servers::StaticHost;
pub(super) use self::servers::{DomainPatterns, NameServer, StaticHosts};
pub(super) use self::service::ServiceUris;
pub(super) use self::text::{Domain, Label, Levels, OneOf, Path, Text};
pub(super) use self::web::{HttpsAddress, Origins, WebAddress};

/// How a value of type `T` is read and written.
pub(super) trait Kind<T> {
    /// The possible values, in words. The text begins in lower case and has no full stop.
    fn describe(&self) -> String;

    /// # Errors
    /// All errors in the value.
    fn read(&self, value: &Spanned<DeValue<'_>>) -> Result<T, Vec<Refusal>>;

    /// The value as TOML. `None` if the value means that the option is not set.
    fn write(&self, value: &T) -> Option<String>;

    /// An example as TOML, for options that are not set by default.
    fn example(&self) -> Option<&'static str> {
        None
    }

    /// A warning about a value that is valid but probably wrong. The text continues the name of the
    /// option.
    fn warning(&self, _: &T) -> Option<String> {
        None
    }

    /// Whether the option is required.
    fn required(&self) -> bool {
        false
    }
}

/// Why a value is refused. The message continues the name of the option.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) at: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

type Value<'a> = Spanned<DeValue<'a>>;

fn refuse<T>(
    value: &Value<'_>,
    message: impl Into<String>,
    help: String,
) -> Result<T, Vec<Refusal>> {
    Err(vec![Refusal { at: value.span(), message: message.into(), help: Some(help) }])
}

/// The refusal of a value that has another type than this kind.
fn wrong_type<T>(value: &Value<'_>, wanted: &str, help: impl Display) -> Result<T, Vec<Refusal>> {
    let found = match value.get_ref() {
        DeValue::Array(_) => "a list",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Float(_) => "a fraction",
        DeValue::Integer(_) => "a number",
        DeValue::String(_) => "a text",
        DeValue::Table(_) => "a table",
    };
    refuse(value, format!("must be {wanted}, not {found}"), help.to_string())
}

/// A string as TOML.
pub(super) fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A table in one line as TOML, of these entries.
pub(super) fn inline_table(entries: &[String]) -> String {
    match entries {
        [] => "{}".to_owned(),
        entries => format!("{{ {} }}", entries.join(", ")),
    }
}

/// `true` or `false`.
pub(super) struct Switch;

impl Kind<bool> for Switch {
    fn describe(&self) -> String {
        "`true` or `false`".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<bool, Vec<Refusal>> {
        let refused =
            || wrong_type(value, "`true` or `false`", "write true or false, without quotes");
        value.get_ref().as_bool().map_or_else(refused, Ok)
    }

    fn write(&self, value: &bool) -> Option<String> {
        Some(value.to_string())
    }
}
