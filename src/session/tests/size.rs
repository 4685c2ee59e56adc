//! How many bytes a session needs while its client is silent: there may be a hundred thousand of them.

use super::super::catch_up_state::CatchUpState;
use super::super::mailbox_state::SharedMailbox;
use super::super::presence_state::PresenceState;
use super::super::{Delivery, Session, SessionFacts, SmState, session_ref};
use crate::jid::FullJid;

/// Each line is a type and its size in bytes. A size that changes is changed here, on purpose.
#[test]
fn an_idle_session_is_small() {
    let sizes = [
        ("Session: what its owner has", size_of::<Session>(), 72),
        ("  SmState: without stream management", size_of::<SmState>(), 16),
        ("Shared: what its owner and others share", size_of::<session_ref::Shared>(), 640),
        ("  FullJid", size_of::<FullJid>(), 32),
        ("  SessionFacts", size_of::<SessionFacts>(), 128),
        ("  PresenceState", size_of::<PresenceState>(), 32),
        ("  the mailbox", size_of::<SharedMailbox>(), 408),
        ("    CatchUpState", size_of::<CatchUpState>(), 144),
        ("each stanza that waits: Delivery", size_of::<Delivery>(), 72),
    ];
    let found: Vec<_> = sizes.iter().map(|(name, size, _)| (*name, *size)).collect();
    let expected: Vec<_> = sizes.iter().map(|(name, _, size)| (*name, *size)).collect();
    assert_eq!(found, expected);
}
