//! Group chat (XEP-0045): the services with rooms, `conference.<host>` and others. The rules of a room are in
//! `src/muc/`. Here is what connects a room with the server: the senders of stanzas, the store, the archive, and the
//! sessions of occupants.

mod account_removal;
mod active;
mod administration;
mod archive;
mod carry_out;
mod deliver;
mod disco;
#[cfg(test)]
mod fixtures;
mod ghosts;
mod handle_input;
mod housekeeping;
mod load;
mod missed_messages;
mod publish;
mod refused;
mod room_events;
mod room_service;
mod saver;
mod search;
mod search_form;
mod search_fullest;
mod search_page;
mod service;
mod services;
mod settings;
mod shutdown;
mod signs_of_life;
mod tombstone;
mod unique;
mod wake;

use std::sync::Arc;

use administration::Administration;
use room_service::RoomService;
use services::Services;

use crate::config::{Config, RoomsConfig};
use crate::host::lifecycle::EventKind;
use crate::host::room_readers::ReadableRooms;
use crate::host::rooms::Rooms;
use crate::host::{Manifest, Module, Registry, ServerState, Service, Status, Xep};

/// The services with rooms.
pub struct Muc;

impl Module for Muc {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "muc",
            summary: "Rooms in which many people chat",
            xeps: &[
                Xep { number: 45, version: "1.35.5", status: Status::Complete },
                Xep { number: 158, version: "1.0.1", status: Status::Partial },
                Xep { number: 249, version: "1.2", status: Status::Complete },
                Xep { number: 307, version: "0.1", status: Status::Complete },
                Xep { number: 317, version: "0.3.1", status: Status::Complete },
                Xep { number: 410, version: "1.1.0", status: Status::Complete },
                Xep { number: 421, version: "1.0.1", status: Status::Complete },
                Xep { number: 425, version: "0.3.0", status: Status::Complete },
                Xep { number: 433, version: "0.1.0", status: Status::Complete },
                Xep { number: 463, version: "0.2.0", status: Status::Complete },
                Xep { number: 486, version: "0.1.0", status: Status::Complete },
                Xep { number: 488, version: "0.1.0", status: Status::Complete },
                Xep { number: 500, version: "0.1.1", status: Status::Complete },
                Xep { number: 502, version: "0.1.0", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.shared(Rooms::default()).shared(ReadableRooms::default());
        on.listener(EventKind::AccountRemoved, &account_removal::AccountRemoval);
        on.listener(EventKind::ServerEnds, &shutdown::Shutdown);
    }

    fn configure(&self, config: &Config, on: &mut Registry) {
        let new = |rooms: &RoomsConfig| Arc::new(RoomService::new(rooms.clone()));
        let services: Arc<[Arc<RoomService>]> = config.room_services().map(new).collect();
        for service in services.iter() {
            on.service(Arc::clone(service) as Arc<dyn Service>);
        }
        on.shared(Services(services));
    }

    fn start(&self, server: &Arc<ServerState>) {
        let services = server.shared::<Services>();
        if services.0.is_empty() {
            return;
        }
        let administration = Administration::new(server, services.clone());
        server.shared::<Rooms>().enter(Arc::new(administration));
        server.shared::<ReadableRooms>().enter(Arc::new(services.clone()));
        for service in services.0.iter() {
            housekeeping::start(server, service);
            ghosts::start(server, service);
        }
    }
}
