//! The options at the top of the file, before all sections.

use std::path::PathBuf;

use super::section::section;
use super::value::Path;

section! {
    /// Options for the whole server. They stand at the top of the file, before all sections.
    pub(super) struct Head = "";

    /// Data directory: the database, self-signed certificates, the admin socket. It is created if it
    /// does not exist. Relative paths, here and below, start at the directory where the program runs.
    data: PathBuf = PathBuf::from(DEFAULT_DATA) => Path("\"/var/lib/waxwing\""), Restart;
}

/// The data directory if the configuration names none.
pub const DEFAULT_DATA: &str = "waxwing-data";
