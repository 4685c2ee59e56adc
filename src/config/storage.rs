//! `[storage]`: how things are kept.

use super::kind::{Count, OneOf};
use super::section::{choice, section};

choice! {
    /// Which database.
    pub enum Backend {
        /// Nothing is kept over a restart: for tests and for trying out.
        Memory = "memory";
        /// `waxwing.sqlite` in the data directory.
        Sqlite = "sqlite";
    }
}

section! {
    /// How things are kept.
    pub struct StorageConfig = "storage";

    /// Which database keeps accounts, rosters and messages.
    backend: Backend = Backend::Sqlite => OneOf(Backend::WORDS), Restart;

    /// Connections to the database that read. Writing has one of its own.
    readers: u32 = 2 => Count::between(1, 64), Restart;
}
