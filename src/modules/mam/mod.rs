//! XEP-0313: Message Archive Management, for archives of accounts, with XEP-0441 (whose messages
//! are kept) and XEP-0431 (they are found by words).
//!
//! What is kept and what is asked is decided in `archive/`, which does no I/O. The thing to get
//! wrong: results go straight to who asked, never through `router/`. There they would be kept again.

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

/// Keeps messages, and finds them again.
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
                // Nobody copies anything yet that `<no-copy/>` could forbid (XEP-0280).
                Xep { number: 334, version: "1.0.0", status: Status::Partial },
                Xep { number: 431, version: "0.2.0", status: Status::Complete },
                Xep { number: 441, version: "0.2.0", status: Status::Complete },
            ],
        }
    }

    fn register(&self, _on: &mut Registry) {}

    /// Without archives there is nobody who answers, and nothing is announced.
    fn configure(&self, config: &Config, on: &mut Registry) {
        if !config.archive.enabled {
            return;
        }
        // Whoever asks for what is not his is told so (XEP-0313 §8.1), whether there is such an account
        // or not.
        on.closed_iq(IqKind::Get, (NS, "metadata"), &query::Archive);
        on.closed_iq(IqKind::Get, (NS, "query"), &query::Archive);
        on.closed_iq(IqKind::Set, (NS, "query"), &query::Archive);
        on.closed_iq(IqKind::Get, (NS, "prefs"), &preferences::Wishes);
        on.closed_iq(IqKind::Set, (NS, "prefs"), &preferences::Wishes);
        on.registered_feature(result_set::NS);
        let search = config.archive.search.then_some(FULLTEXT);
        for var in [NS, EXTENDED, GROUPCHAT_FIELD].into_iter().chain(search) {
            // DEPARTS: XEP-0313 §6.1 – the domain announces it, too, which has no archive: some clients
            // (Profanity 0.13) ask only the domain whether their account has one.
            on.registered_feature(var).feature(Scope::Host, var);
        }
    }
}

/// Who asks for the archive of his own account, which is the only one he may ask for
/// (XEP-0313 §8.1).
///
/// # Errors
/// `forbidden` for those of others, and to anonymous users, who have none.
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
