//! A served domain, and what a feature may see of it.

pub mod command;
