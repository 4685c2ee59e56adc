//! Streams between servers (RFC 6120, XEP-0220, XEP-0368). `docs/decisions/0022-servers.md` has the reasons.
//!
//! [`Servers`] takes stanzas from the router. A link (`link.rs`) has the queue for one pair of domains, and a task
//! (`live.rs`) that opens a stream (`outgoing/`) and writes them. Streams that other servers open are in `incoming/`.

mod administration;
mod announced_limits;
mod attempts;
mod backoff;
mod bounce;
mod counters;
mod dial;
mod dialback;
mod exceptions;
mod failure;
mod flow;
mod incoming;
mod key;
mod limits;
mod link;
mod live;
mod managed;
mod named;
mod network;
mod on_its_way;
mod outgoing;
mod pair;
mod ping;
mod posh;
mod resolve;
mod rules;
mod send;
mod servers;
mod streams;
mod verify;
mod write;

pub use incoming::serve;
pub use network::{Connect, Connected, Network};
pub use resolve::{Dns, Resolve, Srv, Unresolved};
pub use servers::Servers;
