//! XEP-0313: Message Archive Management for the archives of accounts, with XEP-0441 (preferences) and
//! XEP-0431 (search).
//!
//! `archive/` decides what is stored and reads queries; it does no I/O. A mistake that is easy to make:
//! results go directly to the session that asked, never through `router/`, which would store them again.

pub mod expiry;
mod keep;
mod preferences;
mod query;

pub use keep::{Recipient, keep};
pub use preferences::stored as stored_preferences;

use crate::archive::{EXTENDED, FULLTEXT, GROUPCHAT_FIELD};
use crate::config::Config;
use crate::host::{Cx, Manifest, Module, Registry, Scope, Status, Xep};
use crate::jid::BareJid;
use crate::ns::MAM as NS;
use crate::payload::result_set;
use crate::session::Session;
use crate::stanza::{Condition, Iq, IqKind, StanzaError};

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
                // There are no carbons yet (XEP-0280), which `<no-copy/>` would suppress.
                Xep { number: 334, version: "1.0.0", status: Status::Partial },
                Xep { number: 431, version: "0.2.0", status: Status::Complete },
                Xep { number: 441, version: "0.2.0", status: Status::Complete },
            ],
        }
    }

    fn register(&self, _on: &mut Registry) {}

    /// If archives are off, no request is answered and no feature is announced.
    fn configure(&self, config: &Config, on: &mut Registry) {
        if !config.archive.enabled {
            return;
        }
        // A user that queries another account gets an error, whether there is such an account or not
        // (XEP-0313 §8.1).
        on.closed_iq(IqKind::Get, (NS, "metadata"), &query::Archive);
        on.closed_iq(IqKind::Get, (NS, "query"), &query::Archive);
        on.closed_iq(IqKind::Set, (NS, "query"), &query::Archive);
        on.closed_iq(IqKind::Get, (NS, "prefs"), &preferences::Wishes);
        on.closed_iq(IqKind::Set, (NS, "prefs"), &preferences::Wishes);
        on.registered_feature(result_set::NS);
        let search = config.archive.search.then_some(FULLTEXT);
        for var in [NS, EXTENDED, GROUPCHAT_FIELD].into_iter().chain(search) {
            // DEPARTS: XEP-0313 §6.1 – the domain announces the features, too, though it has no archive.
            // Some clients (Profanity 0.13) ask only the domain.
            on.registered_feature(var).feature(Scope::Host, var);
        }
    }
}

/// The session that sends a request, and its account. A user may query only the own archive (XEP-0313
/// §8.1).
///
/// # Errors
/// `forbidden` for the archive of another account, and for anonymous users, who have no archive.
fn owner<'a>(cx: &Cx<'a>, request: &Iq) -> Result<(&'a Session, BareJid), StanzaError> {
    let session = cx.origin.owned().ok_or(Condition::Forbidden)?;
    let user = session.handle().jid().to_bare();
    match &request.head.to {
        Some(to) if *to != *user => Err(Condition::Forbidden.text("this archive is not yours")),
        _ if session.handle().is_anonymous() => {
            Err(Condition::Forbidden.text("only registered users may do this"))
        }
        _ => Ok((session, user)),
    }
}
