//! The files of users (XEP-0363), which HTTP, the service `upload.<host>` and commands share.

use std::time::Duration;

use super::{ServerState, SharedState};
use crate::config::{Config, FilesFull};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{self, FileBounds, FileId, Purpose, StoredFile};
use crate::upload::{SlotKey, Uploads, percent_encoded};

impl SharedState for Uploads {}

/// The part of the addresses of files that follows [`Config::files_url`].
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

/// When a file expires that was asked for now. `None`: never. `before`: when the user wants it to be removed at the
/// latest.
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

/// How many files for this purpose an account may have.
#[must_use]
pub fn bounds(config: &Config, purpose: Purpose) -> FileBounds {
    let is_message = matches!(purpose, Purpose::Ephemeral | Purpose::Message);
    FileBounds {
        bytes: quota(config, purpose) as u64,
        files: config.files.files,
        replace: is_message && config.files.full == FilesFull::Replace,
        per_day: (config.files.per_day > 0).then_some(config.files.per_day as u64),
    }
}

/// The bytes of all files of an account for this purpose, and for those that share its quota.
#[must_use]
pub fn quota(config: &Config, purpose: Purpose) -> usize {
    match purpose {
        Purpose::Ephemeral | Purpose::Message => config.files.quota,
        Purpose::Permanent => config.files.permanent_quota,
        Purpose::Profile => config.files.profile_quota,
    }
}

/// This time, so much later.
#[must_use]
pub fn later(now: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_add(micros))
}

/// Removes a file of a user, so that it can no longer be downloaded. `false` if the user has no such file.
///
/// # Errors
/// If the store fails.
pub async fn remove_own(server: &ServerState, user: &BareJid, id: FileId) -> storage::Result<bool> {
    let is_removed = server.storage.files().remove_file(user, id).await?;
    if let Some(uploads) = server.find_shared::<Uploads>().filter(|_| is_removed) {
        uploads.sweep_soon.notify_one();
    }
    Ok(is_removed)
}

/// The name of the signature in the address of an upload.
pub const SIGNATURE: &str = "s";

/// Removes the files of a user whose addresses are in a message, given as XML. Of a message with many, the first
/// twenty.
///
/// # Errors
/// If the store fails.
pub async fn remove_named(server: &ServerState, user: &BareJid, xml: &[u8]) -> storage::Result<()> {
    let base = server.config.load().files_url(user.domain());
    let (Some(base), Some(uploads)) = (base, server.find_shared::<Uploads>()) else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(xml);
    for id in ids_in(&text, &format!("{base}{PATH}")).take(REMOVED) {
        if server.storage.files().remove_file(user, id).await? {
            uploads.sweep_soon.notify_one();
        }
    }
    Ok(())
}

/// The ids that follow this beginning of an address.
fn ids_in(text: &str, base: &str) -> impl Iterator<Item = FileId> {
    let digits = |at: usize| text.get(at + base.len()..at + base.len() + DIGITS);
    text.match_indices(base).filter_map(move |(at, _)| FileId::parse(digits(at)?))
}

const DIGITS: usize = 32;
const REMOVED: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_addresses() {
        let (one, other) = (FileId::random(), FileId::random());
        let base = "https://f.example/files/";
        let text = format!(
            "<body>{base}{one}/a.jpg and {base}x, {base}{other}</body><url>{base}{one}/a.jpg</url>\
             https://g.example/files/{other} {base}0é"
        );
        assert_eq!(ids_in(&text, base).collect::<Vec<_>>(), [one, other, one]);
        assert_eq!(ids_in("", base).next(), None);
    }
}
