//! Streams that other servers open.

mod action;
mod features;
mod finish;
mod lanes;
mod machine;
mod prove;
mod serve;
#[cfg(test)]
mod tests;

pub(super) use lanes::Lanes;
pub use serve::serve;
