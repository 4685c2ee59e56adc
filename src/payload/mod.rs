//! Grammars that several features share: parse and build, nothing else.

pub mod datetime;
