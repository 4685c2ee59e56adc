//! Grammars that several features share: parse and build, nothing else.

pub mod caps;
pub mod datetime;
pub mod delay;
pub mod disco;
