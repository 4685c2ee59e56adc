//! Files of users, below XMPP and HTTP (XEP-0363): where their bytes are, and who may send them.
//!
//! The rows are in the store ([`crate::storage::FileStore`]), the bytes are in a [`ContentStore`]. A content
//! is kept once, under its hash, for all files that have it. What is easy to get wrong is the order of both:
//! [`Uploads`] says it.

mod content;
mod directory;
mod locks;
mod media_type;
mod name;
mod progress;
mod s3;
mod signature;
mod store_error;
mod turns;
mod uploads;

pub use content::{Content, ContentStore, Writing};
pub use directory::Directory;
pub use media_type::MediaType;
pub use name::{clean, percent_decoded, percent_encoded};
pub use s3::Bucket;
pub use signature::SlotKey;
pub use store_error::StoreError;
pub use turns::{Turn, Turns};
pub use uploads::{KeepError, Swept, Uploads};
