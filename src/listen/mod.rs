//! Where connections of all kinds of peers come in: clients, browsers, servers, components.
//!
//! What listens is a table of [`Listener`]s, which the server writes (`src/server/listeners.rs`). From
//! it come the open ports, what logs and `status` say of them, and one accept loop for all.

mod accept;
mod bind;
mod counted;
mod listener;
mod proxy_header;

pub use accept::{Acceptor, is_proxy, note_refused, set_options_of_server};
pub use bind::{Refused, bind};
pub use counted::Counted;
pub use listener::{Accepted, Listener, Transport};
