//! How a section is written down: once. The macro [`section!`] makes of one list of options the
//! struct, its defaults, the reader and the table from which the documents are printed.
//!
//! An option is one entry:
//!
//! ```text
//! /// What it means, for the administrator.
//! name: Type = default => Kind, Restart;
//! ```
//!
//! The kind (`kind.rs`) knows how a value is read, what its bounds are, and how it is written.
//! The last word says whether a new value can be applied by a reload or needs a restart.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problems;
use super::value::Kind;

/// One struct of the configuration.
pub(super) trait Section: Sized {
    /// As it stands in brackets; empty for the head of the file.
    const NAME: &'static str;

    /// What it is about, line by line.
    const DOCS: &'static [&'static str];

    /// What holds if nothing is written, on a server of these domains.
    fn defaults(domains: &[String]) -> Self;

    /// The table of options.
    fn entries(domains: &[String]) -> Vec<Entry>;

    /// Reads what is written, takes defaults for the rest, and notes what is wrong.
    fn read(fields: &Fields<'_>, domains: &[String], problems: &mut Problems<'_>) -> Self;

    /// Adds what is likely wrong with values that are right.
    fn warn(&self, warnings: &mut Vec<String>);

    /// Gives each option that changes only by a restart the value with which the server runs, and
    /// adds the names of those that differed.
    fn keep(&mut self, running: &Self, names: &mut Vec<&'static str>);
}

/// An option, for documents.
pub(super) struct Entry {
    pub(super) name: &'static str,
    /// What can be written, in words.
    pub(super) kind: String,
    /// As TOML. `None`: not set.
    pub(super) default: Option<String>,
    /// As TOML: what one might write if there is no default.
    pub(super) example: Option<&'static str>,
    pub(super) required: bool,
    pub(super) applies: Applies,
    pub(super) docs: &'static [&'static str],
}

/// When a new value is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Applies {
    /// After `SIGHUP`.
    Reload,
    /// After the next start.
    Restart,
}

/// What somebody wrote in a section.
pub(super) struct Fields<'a> {
    pub(super) table: &'a DeTable<'a>,
    /// Where the section begins.
    pub(super) at: Range<usize>,
}

impl Fields<'_> {
    /// Reads one option. A wrong value is noted and replaced by the default.
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

    /// Where the value of an option stands, if it is written.
    pub(super) fn value_of(&self, name: &str) -> Option<Range<usize>> {
        self.table.get(name).map(Spanned::span)
    }

    /// Where an option stands, if it is written.
    pub(super) fn key_of(&self, name: &str) -> Option<Range<usize>> {
        self.table.get_key_value(name).map(|(key, _)| key.span())
    }
}

/// The table in a value, if it is one.
pub(super) fn table_of<'a>(value: &'a Spanned<DeValue<'a>>) -> Option<&'a DeTable<'a>> {
    value.get_ref().as_table()
}

/// Makes a [`Section`] of a list of options. With `given domains` the defaults may look at the
/// domains that are served.
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
                // Most sections do not look at them.
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

/// Makes an enum of words that one may write, with the table that [`super::value::OneOf`] reads.
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
            /// The words, what they stand for, and what they mean.
            pub(super) const WORDS: &'static [(&'static str, Self, &'static str)] =
                &[$(($word, Self::$variant, concat!($($doc),+))),+];
        }
    };
}

pub(super) use {choice, section};
