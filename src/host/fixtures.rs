//! Values for tests.

use super::{Discovery, Service};
use crate::payload::disco::Identity;

/// A service that does nothing: `rooms.<host>`.
pub(crate) struct Rooms;

impl Discovery for Rooms {}

impl Service for Rooms {
    fn prefix(&self) -> &'static str {
        "rooms"
    }

    fn identity(&self) -> Identity {
        Identity { category: "conference", kind: "text", name: None }
    }
}
