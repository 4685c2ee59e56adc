//! `[log]`: the log.

use super::section::{choice, section};
use super::value::{Levels, OneOf};

choice! {
    /// Format of log lines.
    pub enum LogFormat {
        /// journald when started by systemd, else text.
        Auto = "auto";
        /// To journald.
        Journald = "journald";
        /// One JSON object per line.
        Json = "json";
        /// For people.
        Text = "text";
    }
}

section! {
    /// Logging. Message bodies and credentials are never logged, at any level.
    pub struct LogConfig = "log";

    /// How log lines look.
    format: LogFormat = LogFormat::Auto => OneOf(LogFormat::WORDS), Restart;

    /// Log level: one level, or a list of levels for parts of the program. The longest matching name
    /// decides. Libraries log at `info` at most, unless they are named.
    level: String = "info".to_owned() => Levels, Reload;
}
