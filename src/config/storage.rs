//! `[storage]`: the database.

use super::section::{choice, section};
use super::value::{Count, OneOf};

choice! {
    /// Which database.
    pub enum Backend {
        /// Everything is lost at a restart: for tests and for trying out.
        Memory = "memory";
        /// `waxwing.sqlite` in the data directory.
        Sqlite = "sqlite";
    }
}

section! {
    /// The database.
    pub struct StorageConfig = "storage";

    /// Where accounts, rosters and messages are stored.
    backend: Backend = Backend::Sqlite => OneOf(Backend::WORDS), Restart;

    /// Database connections for reading. Writing has one more.
    readers: u32 = 2 => Count::between(1, 64), Restart;
}
