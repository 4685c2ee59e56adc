//! The head of the file: what stands before all sections.

use std::path::PathBuf;

use super::DEFAULT_DATA;
use super::kind::Path;
use super::section::section;

section! {
    /// What concerns the whole server stands first, before all sections.
    pub(super) struct Head = "";

    /// Where everything is kept: the database, certificates we made, the administrator's socket.
    /// Made if it is not there. Relative paths, here and below, are relative to where the program
    /// runs.
    data: PathBuf = PathBuf::from(DEFAULT_DATA) => Path("\"/var/lib/waxwing\""), Restart;
}
