//! XEP-0313: Message Archive Management for the archives of accounts, with XEP-0441 (preferences) and
//! XEP-0431 (search).
//!
//! `archive/` decides what is stored and reads queries; it does no I/O. A mistake that is easy to make:
//! results go directly to the session that asked, never through `router/`, which would store them again.

mod bound;
pub mod expiry;
mod keep;
mod owner;
mod preferences;
mod query;

pub use bound::{bound, dismiss};
pub use keep::{Recipient, keep};
pub use preferences::stored as stored_preferences;

use std::sync::Arc;

use crate::archive::{EXTENDED, FULLTEXT, GROUPCHAT_FIELD};
use crate::config::Config;
use crate::host::{Access, AddressKind, Manifest, Module, Registry, ServerState, Status, Xep};
use crate::ns::MAM as NS;
use crate::payload::result_set;
use crate::stanza::IqKind;

/// Stores messages, and answers queries for them.
pub struct Mam;

impl Module for Mam {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "mam",
            summary: "Keeps messages, and finds them again, for users who want it",
            xeps: &[
                Xep { number: 59, version: "1.0", status: Status::Complete },
                Xep { number: 297, version: "1.0", status: Status::Complete },
                Xep { number: 313, version: "1.1.3", status: Status::Complete },
                Xep { number: 334, version: "1.0.0", status: Status::Complete },
                Xep { number: 431, version: "0.2.0", status: Status::Complete },
                Xep { number: 441, version: "0.2.0", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.shared(preferences::Cache::new());
    }

    /// If archives are off, no request is answered and no feature is announced.
    fn configure(&self, config: &Config, on: &mut Registry) {
        if !config.archive.enabled {
            return;
        }
        // XEP-0313 §8.1: others are told that they may not, whether the account exists or not.
        for (kind, name) in
            [(IqKind::Get, "metadata"), (IqKind::Get, "query"), (IqKind::Set, "query")]
        {
            on.iq(
                AddressKind::Account,
                kind,
                (NS, name),
                Access::OwnerElseForbidden,
                &query::Archive,
            );
        }
        for kind in [IqKind::Get, IqKind::Set] {
            on.iq(
                AddressKind::Account,
                kind,
                (NS, "prefs"),
                Access::OwnerElseForbidden,
                &preferences::Wishes,
            );
        }
        on.disco_feature_of_registered(result_set::NS);
        let search = config.archive.search.then_some(FULLTEXT);
        for var in [NS, EXTENDED, GROUPCHAT_FIELD].into_iter().chain(search) {
            // DEPARTS: XEP-0313 §6.1 – the domain announces the features, too, though it has no archive.
            // Some clients (Profanity 0.13) ask only the domain.
            on.disco_feature_of_registered(var).disco_feature(AddressKind::Host, var);
        }
    }

    fn start(&self, server: &Arc<ServerState>) {
        drop(server.tasks.spawn("archive-expiry", expiry::run(Arc::clone(server))));
    }
}
