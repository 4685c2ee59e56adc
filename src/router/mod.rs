//! A stanza comes in: where does it go? Routing is functions, called by the task that has the stanza.
//!
//! The stanzas of clients and of other servers come in by [`accept`]. Those that this server makes itself
//! come in by [`route`]. [`message`], [`presence`] and [`iq`] say what happens to them, from top to bottom.

mod accept;
mod account_removal;
mod act_for;
mod arrive;
pub mod befriend;
mod bounce;
mod capacity;
mod catch_up;
mod contacts;
mod delegated;
#[cfg(test)]
mod fixtures;
mod internal;
mod invited;
pub mod iq;
mod iq_session;
pub mod message;
mod outcome;
mod photo;
pub mod presence;
mod privileged;
pub mod probe;
mod probe_contacts;
mod read_ahead;
mod release;
mod remote;
mod route;
mod send_presence;
mod session_end;
pub mod subscription;
mod unsettled;

pub use accept::{Processed, accept, check_claim, check_from, refuse};
pub use bounce::not_kept;
pub use catch_up::catch_up;
pub use outcome::Outcome;
pub use route::{Router, settle};
pub use unsettled::Unsettled;

/// The pause after the store has failed.
const RETRY: std::time::Duration = std::time::Duration::from_secs(1);
