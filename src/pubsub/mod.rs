//! Publish-subscribe (XEP-0060): who may do what at a node, why not, and what subscribers are told. Nothing
//! here reads or writes.

pub mod error;
pub mod event;
pub mod headers;
pub mod options;
pub mod rights;
