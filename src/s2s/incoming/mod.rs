//! Streams that other servers open.

mod action;
mod addresses;
mod features;
mod finish;
mod lanes;
mod machine;
mod prove;
mod serve;
#[cfg(test)]
mod tests;
mod work;

pub(super) use lanes::Lanes;
pub use serve::serve;
