//! The rules of rosters and subscriptions, without I/O (RFC 6121 §2, §3).

pub mod contact_removal;
pub mod item;
pub mod subscription;
