//! Clients: a connection is accepted (`listen`), negotiated (`negotiate`), run (`run`), and ends
//! (`connection_end`); its session goes to another connection, waits for one (`hibernate`), or ends
//! (`session_end`).

pub mod bosh;
mod client;
mod connection_end;
#[cfg(test)]
mod fixtures;
mod hibernate;
mod keepalive;
mod last_words;
mod loop_shutdown;
mod loops;
mod markers;
mod memory;
mod negotiate;
mod negotiation;
mod pending_acks;
mod read;
mod read_rate;
mod redirect;
mod run;
mod serve;
mod server_restart;
mod session_end;
mod session_persistence;
mod sm_elements;
mod stream_management;
pub mod websocket;
mod write;

pub use client::{C2s, Client, StartState};
pub use memory::watch_memory;
pub use serve::serve;
pub use server_restart::{restore, say_goodbye};
pub use session_end::end_dropped_sessions;
