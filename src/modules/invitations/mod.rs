//! XEP-0401: users and administrators make invitations by chat client: links by which people become contacts, or make an
//! account here. XEP-0379: a user who opens such a link becomes a contact at once (`router/subscription.rs`).
//!
//! Accounts are made with an invitation in `register.rs` (XEP-0445). `docs/invitations.md` has the whole.

mod commands;
mod own;

use crate::host::{Manifest, Module, Registry, Status, Xep};

/// Lets users invite people.
pub struct Invitations;

impl Module for Invitations {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "invitations",
            summary: "Lets users invite people to become contacts, and to make an account",
            xeps: &[
                Xep { number: 379, version: "0.3.3", status: Status::Complete },
                Xep { number: 401, version: "0.6.0", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.host_command(&commands::Contact).host_command(&commands::Account);
        on.account_command(&own::Own);
    }
}
