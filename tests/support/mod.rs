//! What the conversations need: reading them, clients, comparing, a server to talk to.

pub(crate) mod answers;
pub(crate) mod archives;
pub(crate) mod bosh;
pub(crate) mod checks;
pub(crate) mod client;
pub(crate) mod crowds;
pub(crate) mod echo;
pub(crate) mod element;
pub(crate) mod faulty;
pub(crate) mod foreign;
pub(crate) mod login;
pub(crate) mod matcher;
pub(crate) mod messages;
pub(crate) mod pass;
pub(crate) mod payloads;
pub(crate) mod presences;
pub(crate) mod push;
pub(crate) mod requests;
pub(crate) mod run;
pub(crate) mod script;
pub(crate) mod server;
pub(crate) mod subscriptions;
pub(crate) mod substitute;
pub(crate) mod trust;
pub(crate) mod websocket;
pub(crate) mod witness;
