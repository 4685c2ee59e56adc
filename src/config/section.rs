//! A section is written once, as a list of options. The macro [`section!`] makes from it the struct, the
//! defaults, the reader and the table from which the documents are made.
//!
//! An option is one entry:
//!
//! ```text
//! /// What it means, for the administrator.
//! name: Type = default => Kind, Restart;
//! ```
//!
//! The kind (`value/`) knows how a value is read, its limits, and how it is written.
//! The last word says whether a new value can be applied by a reload or needs a restart.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problems;
use super::value::Kind;

/// A section of the configuration.
pub(super) trait Section: Sized {
    /// The name in brackets; empty for the options before all sections.
    const NAME: &'static str;

    /// The description, line by line.
    const DOCS: &'static [&'static str];

    /// The defaults of a server of these domains.
    fn defaults(domains: &[String]) -> Self;

    /// The table of options.
    fn entries(domains: &[String]) -> Vec<Entry>;

    /// Reads the options, uses defaults for missing and invalid ones, and reports errors.
    fn read(fields: &Fields<'_>, domains: &[String], problems: &mut Problems<'_>) -> Self;

    /// Adds warnings about values that are valid but probably wrong.
    fn warn(&self, warnings: &mut Vec<String>);

    /// Sets each option that needs a restart to the value with which the server runs, and adds the
    /// names of the options that differed.
    fn keep(&mut self, running: &Self, names: &mut Vec<&'static str>);
}

/// The description of an option.
pub(super) struct Entry {
    pub(super) name: &'static str,
    /// The possible values, in words.
    pub(super) kind: String,
    /// The default as TOML. `None`: the option is not set.
    pub(super) default: Option<String>,
    /// An example as TOML, if there is no default.
    pub(super) example: Option<&'static str>,
    pub(super) required: bool,
    pub(super) applies: Applies,
    pub(super) docs: &'static [&'static str],
}

/// When a changed value takes effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Applies {
    /// After `SIGHUP`.
    Reload,
    /// After the next start.
    Restart,
}

/// The options of a section, as they are written in a file.
pub(super) struct Fields<'a> {
    pub(super) table: &'a DeTable<'a>,
    /// The place of the section.
    pub(super) at: Range<usize>,
}

impl Fields<'_> {
    /// Reads one option. An invalid value is reported and replaced by the default.
    pub(super) fn read<T>(
        &self,
        name: &'static str,
        kind: &impl Kind<T>,
        default: T,
        problems: &mut Problems<'_>,
    ) -> T {
        let Some(value) = self.table.get(name) else {
            if kind.required() {
                let help = kind.example().map(|example| format!("add {name} = {example}"));
                problems.add(&self.at, format!("`{name}` is missing"), help);
            }
            return default;
        };
        match kind.read(value) {
            Ok(value) => value,
            Err(refusals) => {
                for refusal in refusals {
                    let message = format!("`{name}` {}", refusal.message);
                    problems.add(&refusal.at, message, refusal.help);
                }
                default
            }
        }
    }

    /// The place of the value of an option, if the option is written.
    pub(super) fn value_of(&self, name: &str) -> Option<Range<usize>> {
        self.table.get(name).map(Spanned::span)
    }

    /// The text of an option, if the option is written and is a text.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.table.get(name)?.get_ref().as_str()
    }

    /// The place of the name of an option, if the option is written.
    pub(super) fn key_of(&self, name: &str) -> Option<Range<usize>> {
        self.table.get_key_value(name).map(|(key, _)| key.span())
    }
}

/// The table in a value, if the value is a table.
pub(super) fn table_of<'a>(value: &'a Spanned<DeValue<'a>>) -> Option<&'a DeTable<'a>> {
    value.get_ref().as_table()
}

/// Makes a [`Section`] from a list of options. With `given domains`, the defaults may depend on the
/// served domains.
macro_rules! section {
    (
        $(#[doc = $about:expr])+
        $vis:vis struct $type:ident = $section:literal $(, given $domains:ident)?;
        $(
            $(#[doc = $doc:expr])+
            $name:ident: $of:ty = $default:expr => $kind:expr, $applies:ident;
        )+
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, Eq, PartialEq)]
        $vis struct $type {
            $(
                $(#[doc = $doc])+
                #[doc = concat!("\n\nDefault: `", stringify!($default), "`.")]
                $vis $name: $of,
            )+
        }

        impl $crate::config::section::Section for $type {
            const NAME: &'static str = $section;
            const DOCS: &'static [&'static str] = &[$($about),+];

            fn defaults(domains: &[String]) -> Self {
                // Most sections do not use the domains.
                let _ = domains;
                $(let $domains = domains;)?
                Self { $($name: $default,)+ }
            }

            fn entries(domains: &[String]) -> Vec<$crate::config::section::Entry> {
                use $crate::config::value::Kind;
                let defaults = Self::defaults(domains);
                vec![$({
                    let kind = $kind;
                    $crate::config::section::Entry {
                        name: stringify!($name),
                        kind: Kind::<$of>::describe(&kind),
                        default: kind.write(&defaults.$name),
                        example: Kind::<$of>::example(&kind),
                        required: Kind::<$of>::required(&kind),
                        applies: $crate::config::section::Applies::$applies,
                        docs: &[$($doc),+],
                    }
                },)+]
            }

            fn read(
                fields: &$crate::config::section::Fields<'_>,
                domains: &[String],
                problems: &mut $crate::config::error::Problems<'_>,
            ) -> Self {
                let defaults = Self::defaults(domains);
                Self {
                    $($name: fields.read(stringify!($name), &$kind, defaults.$name, problems),)+
                }
            }

            fn warn(&self, warnings: &mut Vec<String>) {
                use $crate::config::value::Kind;
                $(
                    if let Some(text) = Kind::<$of>::warning(&$kind, &self.$name) {
                        let option = [$section, stringify!($name)].join(".");
                        warnings.push(format!("`{}` {text}", option.trim_start_matches('.')));
                    }
                )+
            }

            fn keep(&mut self, running: &Self, names: &mut Vec<&'static str>) {
                use $crate::config::section::Applies;
                $(
                    if Applies::$applies == Applies::Restart && self.$name != running.$name {
                        self.$name.clone_from(&running.$name);
                        names.push(if $section.is_empty() {
                            stringify!($name)
                        } else {
                            concat!($section, ".", stringify!($name))
                        });
                    }
                )+
            }
        }
    };
}

/// Makes an enum whose variants are words in the file, with the table that [`super::value::OneOf`]
/// reads.
macro_rules! choice {
    (
        $(#[doc = $about:expr])+
        pub enum $type:ident { $( $(#[doc = $doc:expr])+ $variant:ident = $word:literal; )+ }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum $type {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl $type {
            /// The words, their variants, and their descriptions.
            pub(super) const WORDS: &'static [(&'static str, Self, &'static str)] =
                &[$(($word, Self::$variant, concat!($($doc),+))),+];

            /// The word in the file.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $( Self::$variant => $word, )+
                }
            }
        }
    };
}

pub(super) use {choice, section};
