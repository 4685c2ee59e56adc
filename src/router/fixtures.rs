//! Values for the tests of this module.

use crate::host::{Parts, ServerState, SharedStates};
use crate::stanza::Stanza;
use crate::xml::Frame;

/// A server with the hosts `a.example` and `b.example`, each with rooms.
pub(super) fn server() -> ServerState {
    let parts = Parts::for_tests(&["a.example", "b.example"]);
    ServerState::new(parts, &["rooms"], SharedStates::default()).expect("the domains are valid")
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
