//! `[log]`: what is written about our doings.

use super::kind::{Levels, OneOf};
use super::section::{choice, section};

choice! {
    /// How log lines look.
    pub enum LogFormat {
        /// journald when run by systemd, else text.
        Auto = "auto";
        /// To journald.
        Journald = "journald";
        /// A JSON object a line.
        Json = "json";
        /// For people.
        Text = "text";
    }
}

section! {
    /// What is written about our doings. Bodies of messages and credentials never are, at no
    /// level.
    pub struct LogConfig = "log";

    /// How log lines look.
    format: LogFormat = LogFormat::Auto => OneOf(LogFormat::WORDS), Restart;

    /// How much is written: one level, or a list of levels for parts of the program, of which the
    /// longest name that fits decides. Libraries speak at `info` at most unless they are named.
    level: String = "info".to_owned() => Levels, Reload;
}
