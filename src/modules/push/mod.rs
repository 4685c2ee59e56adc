//! XEP-0357: Push Notifications. A phone whose app sleeps is woken by a push service; the server notifies that
//! service.
//!
//! A client enables notifications for a device (`register.rs`). `wake.rs` decides when the device is woken: if
//! something important has come (`archive/importance.rs`) and the device does not have it. `publish.rs` sends the
//! notification to the service. Chats that the user has muted (XEP-0492) wake no device (`settings.rs`).

mod content;
mod device;
mod late;
mod notification;
mod outcome;
mod publish;
mod publisher;
mod register;
mod registrations;
mod rooms;
mod settings;
mod wake;

use std::sync::Arc;

use crate::host::lifecycle::EventKind;
use crate::host::{Access, AddressKind, Manifest, Module, Registry, ServerState, Status, Xep};
use crate::ns::PUSH as NS;
use crate::stanza::IqKind;

pub use content::Content;
pub use wake::{arrived, is_notice, session_ended, session_waits, subscription_requested};

/// Wakes devices by their push services.
pub struct Push;

impl Module for Push {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "push",
            summary: "Wakes phones by the push services of their apps",
            xeps: &[
                Xep { number: 357, version: "0.4.1", status: Status::Complete },
                // Of public rooms on other servers, all messages notify unless the user has chosen: `settings.rs`.
                Xep { number: 492, version: "0.2.0", status: Status::Partial },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.disco_feature_of_registered(NS); // XEP-0357 §4.1
        for name in ["enable", "disable"] {
            on.iq(AddressKind::Account, IqKind::Set, (NS, name), Access::Owner, &Self);
        }
        on.listener(EventKind::RoomMessage, &rooms::Rooms);
        on.shared(registrations::Registrations::default());
        on.shared(publisher::Publisher::default());
        on.shared(late::Watched::default());
    }

    fn start(&self, server: &Arc<ServerState>) {
        server.shared::<publisher::Publisher>().start(server);
    }
}
