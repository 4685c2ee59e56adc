//! The roster's rules, without any I/O: what a subscription stanza changes.

pub mod subscription;
