//! The settings of a service with rooms.

use crate::config::Config;
use crate::jid::BareJid;
use crate::muc::{RoomConfig, RoomLimits};

/// Who may make rooms.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Create {
    /// The administrators of the service.
    Admins,
    /// Everybody.
    Everybody,
    /// Those who have an account here.
    Local,
}

/// The settings of one service.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The label before the host.
    pub(super) prefix: String,
    /// Its name, for people.
    pub(super) name: String,
    /// Who may make rooms.
    pub(super) create: Create,
    /// Who may do in each room what its owners may do, besides the administrators of the server.
    pub(super) admins: Vec<BareJid>,
    /// Rooms that one user may have made.
    pub(super) rooms_of_user: u64,
    /// How new rooms are configured.
    pub(super) new_room: RoomConfig,
    /// What a room may hold.
    pub(super) limits: RoomLimits,
}

/// The services that are configured.
pub(super) fn of(_: &Config) -> Vec<Settings> {
    vec![Settings {
        prefix: "conference".to_owned(),
        name: "Group chat".to_owned(),
        create: Create::Local,
        admins: Vec::new(),
        rooms_of_user: 200,
        new_room: RoomConfig::default(),
        limits: RoomLimits::default(),
    }]
}
