//! One account, or one address, tries to take all of what many share: clients of raw bytes against a
//! whole server in this process (docs/budgets.md). Time stands still while somebody works, so what is
//! measured is what the server lets a client wait.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]
#![expect(clippy::disallowed_methods, reason = "clients are no tasks of the server")]

#[path = "budgets/guesses.rs"]
mod guesses;
#[path = "budgets/memory.rs"]
mod memory;
#[path = "budgets/nodes.rs"]
mod nodes;
#[path = "support/peer.rs"]
mod peer;
#[path = "budgets/test_server.rs"]
mod test_server;
#[path = "budgets/traffic.rs"]
mod traffic;
#[path = "support/trust.rs"]
mod trust;
#[path = "budgets/web.rs"]
mod web;
