//! What the conversations need: reading them, clients, comparing, a server to talk to.

pub mod checks;
pub mod client;
pub mod element;
pub mod matcher;
pub mod run;
pub mod script;
pub mod server;
pub mod trust;
