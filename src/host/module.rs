//! What a feature is.

use super::Registry;
use crate::config::Config;

/// A feature. Its file in `modules/` holds all of it.
pub trait Module: Send + Sync {
    /// What it is.
    fn manifest(&self) -> &'static Manifest;
    /// Enters what it answers and announces.
    fn register(&self, on: &mut Registry);
    /// Enters what depends on the configuration at the start of the server.
    fn configure(&self, _config: &Config, _on: &mut Registry) {}
}

/// What a feature is. `docs/xeps.md` is made from these.
#[derive(Debug)]
pub struct Manifest {
    /// Its short name.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// What it implements.
    pub xeps: &'static [Xep],
}

/// A specification and how far it is implemented.
#[derive(Debug)]
pub struct Xep {
    /// Its number.
    pub number: u16,
    /// Its version.
    pub version: &'static str,
    /// How far.
    pub status: Status,
}

/// How far a specification is implemented.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// All that concerns a server.
    Complete,
    /// A part; the summary says which.
    Partial,
}
