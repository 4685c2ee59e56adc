//! Values for the tests of this module.

use std::sync::Arc;

use crate::host::fixtures::Rooms;
use crate::host::{Registry, ServerState};
use crate::stanza::Stanza;
use crate::xml::Frame;

/// A server with the hosts `a.example` and `b.example`, each with rooms.
pub(super) fn server() -> ServerState {
    let mut registry = Registry::default();
    registry.service(Arc::new(Rooms));
    ServerState::for_tests(&["a.example", "b.example"], registry)
}

/// A message with these addresses; an empty one is left out.
pub(super) fn message(from: &str, to: &str) -> Stanza {
    let attr = |name, value: &str| match value {
        "" => String::new(),
        value => format!(" {name}='{value}'"),
    };
    let xml = format!("<message{}{}/>", attr("from", from), attr("to", to));
    Stanza::read(Frame::from_bytes(xml).unwrap()).unwrap()
}
