//! Contacts and who may see whom, without I/O (RFC 6121 §2, §3).

pub mod farewell;
pub mod item;
pub mod subscription;
