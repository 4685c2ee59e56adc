//! BOSH (XEP-0124, XEP-0206): a client's stream in a sequence of HTTP requests and their answers.
//!
//! [`Wrapper`](wrapper::Wrapper) reads a request. [`Engine`](engine::Engine) is the session between
//! requests and stream: it decides what each request is answered with, and when; it knows no clock and no
//! connection. `answer.rs` writes the answers. [`BoshChannel`](channel::BoshChannel) is what the stream has
//! instead of a connection: what it reads and writes are documents, as over WebSocket.

mod answer;
pub mod channel;
pub mod engine;
pub mod request;
pub mod sessions;
pub mod wrapper;

pub use answer::{Answer, Condition, elsewhere};
