//! Streams that other servers open.

mod action;
mod addresses;
mod carry_out;
mod features;
mod finish;
mod handled;
mod hear;
mod lanes;
mod machine;
mod manage;
mod prove;
mod serve;
#[cfg(test)]
mod tests;
mod work;

pub(super) use handled::Handled;
pub(super) use lanes::Lanes;
pub use serve::serve;
