//! The description of a feature: its name, and what it implements.

/// The description of a feature. `docs/xeps.md` is made from these.
#[derive(Debug)]
pub struct Manifest {
    /// Its short name.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// The specifications that it implements.
    pub xeps: &'static [Xep],
}

/// A specification and how far it is implemented.
#[derive(Debug)]
pub struct Xep {
    /// Its number.
    pub number: u16,
    /// Its version.
    pub version: &'static str,
    /// How far it is implemented.
    pub status: Status,
}

/// How far a specification is implemented.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// Everything that concerns a server is implemented.
    Complete,
    /// A part is implemented; the summary says which.
    Partial,
}
