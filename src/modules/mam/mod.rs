//! XEP-0313: Message Archive Management. Keeps messages for those who hold them.

mod keep;
mod preferences;

pub use keep::{keep, sent_by};
