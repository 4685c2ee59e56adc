//! Streams that we open to other servers.

mod action;
mod features;
mod machine;
mod manage;
mod open;
mod prove;
#[cfg(test)]
mod tests;

pub(super) use action::{Action, Actions, Purpose};
pub(super) use machine::Outgoing;
pub(super) use open::{Opened, open};
