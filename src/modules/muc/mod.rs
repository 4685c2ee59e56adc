//! Group chat (XEP-0045): the services with rooms, `conference.<host>` and others. What happens in a room is in
//! `src/muc/`; here is what a room needs of the world: who is who, the store, the archive, and the sessions of
//! its occupants.

mod active;
mod archive;
mod bury;
mod deliver;
mod disco;
mod ghosts;
mod happen;
mod load;
mod missed;
mod publish;
mod room_service;
mod saver;
mod search;
mod search_form;
mod service;
mod settings;
mod unique;

use std::sync::Arc;

use crate::config::Config;
use crate::host::{Manifest, Module, Registry, Status, Xep};

/// The services with rooms.
pub struct Muc;

impl Module for Muc {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "muc",
            summary: "Rooms in which many people chat",
            xeps: &[
                Xep { number: 45, version: "1.35.5", status: Status::Complete },
                Xep { number: 249, version: "1.2", status: Status::Complete },
                Xep { number: 410, version: "1.1.0", status: Status::Complete },
                Xep { number: 421, version: "1.0.1", status: Status::Complete },
            ],
        }
    }

    fn register(&self, _: &mut Registry) {}

    fn configure(&self, config: &Config, on: &mut Registry) {
        for rooms in config.room_services() {
            on.service(Arc::new(room_service::RoomService::new(rooms.clone())));
        }
    }
}
