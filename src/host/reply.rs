//! How a service answers a request.

use crate::xml::Node;

/// How a service answers a request. Each request is answered exactly once (RFC 6120 §8.2.3).
#[derive(Debug)]
pub enum Reply {
    /// The service sends the answer itself, now or later, as when it has passed the request on.
    Later,
    /// The payload of the answer. The router makes a stanza of it.
    Now(Option<Node>),
}
