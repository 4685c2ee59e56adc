//! The sessions of a device that has registered: whether it can be reached now.

use std::time::Duration;

use crate::archive::importance::Importance;
use crate::host::ServerState;
use crate::jid::BareJid;
use crate::session::SessionRef;
use crate::storage::{PushDevice, PushRegistration};

/// Whether the session is one of the device that has registered.
pub(super) fn is_of(one: &PushRegistration, session: &SessionRef) -> bool {
    match &one.device {
        PushDevice::Installation(id) => {
            session.facts().installation.is_some_and(|other| *other == **id)
        }
        PushDevice::Resource(resource) => session.jid().resource_part() == resource,
    }
}

/// Whether the device has a connection by now, and its client is active.
pub(super) fn is_awake(server: &ServerState, user: &BareJid, one: &PushRegistration) -> bool {
    let sessions = server.sessions.of(user);
    let session = sessions.iter().rfind(|session| is_of(one, session));
    session.is_some_and(|session| session.hibernation().is_none() && !session.is_inactive())
}

/// Whether the device may not show in time what it was sent: it has no connection, or its client was inactive for long.
/// For a call, any inactivity counts.
pub(super) fn is_asleep(session: &SessionRef, what: Importance) -> bool {
    let inactive = session.inactive_for();
    session.hibernation().is_some()
        || inactive.is_some_and(|time| time >= LONG || what == Importance::Call)
}

/// A client that was inactive for this time may sleep.
const LONG: Duration = Duration::from_secs(5 * 60);
