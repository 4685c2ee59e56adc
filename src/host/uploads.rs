//! The files of users (XEP-0363), which HTTP, the service `upload.<host>` and commands share.

use std::time::Duration;

use super::{ServerState, SharedState};
use crate::payload::datetime::Timestamp;
use crate::storage::{Purpose, StoredFile};
use crate::upload::{SlotKey, Uploads, percent_encoded};

impl SharedState for Uploads {}

/// The part of the addresses of files that follows [`Config::files_url`](crate::config::Config::files_url).
pub const PATH: &str = "/files/";

/// Where a file is downloaded. `None` if the server has no address for files.
#[must_use]
pub fn url(server: &ServerState, file: &StoredFile) -> Option<String> {
    let base = server.config.load().files_url(file.owner.domain())?;
    Some(format!("{base}{PATH}{}/{}", file.id, percent_encoded(&file.name)))
}

/// Where a file is uploaded, with the signature in the address.
#[must_use]
pub fn signed_url(url: &str, key: &SlotKey, slot: &StoredFile) -> String {
    format!("{url}?{SIGNATURE}={}", key.sign(slot))
}

/// When a file expires that was asked for now. `None`: never. `before`: the user wants it to be gone then.
#[must_use]
pub fn expires(
    server: &ServerState,
    purpose: Purpose,
    now: Timestamp,
    before: Option<Timestamp>,
) -> Option<Timestamp> {
    let age = server.config.load().files.age;
    let by_age = (age > Duration::ZERO).then(|| later(now, age));
    match purpose {
        Purpose::Message => by_age,
        Purpose::Ephemeral => [by_age, before].into_iter().flatten().min(),
        Purpose::Permanent | Purpose::Profile => None,
    }
}

/// This time, so much later.
#[must_use]
pub fn later(now: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_add(micros))
}

/// The name of the signature in the address of an upload.
pub const SIGNATURE: &str = "s";
