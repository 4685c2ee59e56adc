//! Stanzas of strangers that wait until the user accepts or refuses their senders. They are neither delivered
//! nor archived before.
//!
//! Each is a document of the account. Its key says when it came, what its sender wants, and who that is; so the
//! keys are in the order in which the stanzas came.

use std::sync::atomic::{AtomicU64, Ordering};

use super::policy::Approach;
use crate::host::{Invalidation, ServerState};
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::storage::{self, Storage, StorageError};

/// A stanza that waits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Waiting {
    /// Its key in the store.
    pub key: String,
    /// Who sent it, what for, and how large it is.
    pub place: Place,
    /// When it came.
    pub at: Timestamp,
    /// The stanza as it came.
    pub xml: String,
}

/// What is held in memory of a stanza that waits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// What its sender wants.
    pub approach: Approach,
    /// The bare address of its sender, or of the person who invites by a room.
    pub from: Jid,
    /// The size of the stanza.
    pub bytes: usize,
}

/// All that waits for an account, oldest first.
///
/// # Errors
/// If the store fails.
pub async fn all(storage: &dyn Storage, user: &BareJid) -> storage::Result<Vec<Waiting>> {
    let kept = storage.documents().all(user, KIND).await?;
    Ok(kept.into_iter().filter_map(|(key, xml)| read(user, key, xml)).collect())
}

/// Whether one more stanza of this size and sender may wait: an account has at most 100 of them with 256 KiB,
/// and at most 20 of one sender.
#[must_use]
pub fn has_room(waiting: &[Place], from: &str, bytes: usize) -> bool {
    let of_sender = waiting.iter().filter(|place| place.from.as_str() == from).count();
    let held: usize = waiting.iter().map(|place| place.bytes).sum();
    waiting.len() < MOST && of_sender < MOST_OF_SENDER && held + bytes <= MOST_BYTES
}

/// Lets a stanza wait. `false` if the account has used up its quota. When this returns, it is durable.
///
/// # Errors
/// If the store fails.
pub async fn add(
    server: &ServerState,
    user: &BareJid,
    approach: Approach,
    from: &BareJid,
    xml: &str,
) -> storage::Result<bool> {
    // Several stanzas may come in one microsecond.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed) % 1_000_000_000;
    let at = server.clock.now().as_micros();
    let key = format!("{at:020}-{number:09}-{}-{from}", approach.word());
    let done = server.storage.documents().put_within_quota(user, KIND, &key, xml).await;
    server.invalidate(&Invalidation::Strangers(user.clone()));
    match done {
        Err(StorageError::Quota) => Ok(false),
        done => done.map(|()| true),
    }
}

/// Whether a stanza waits under this key.
///
/// # Errors
/// If the store fails.
pub async fn is_there(storage: &dyn Storage, user: &BareJid, key: &str) -> storage::Result<bool> {
    Ok(storage.documents().get(user, KIND, key).await?.is_some())
}

/// Forgets a stanza that waited. `false` if it is not there any more.
///
/// # Errors
/// If the store fails.
pub async fn remove(server: &ServerState, user: &BareJid, key: &str) -> storage::Result<bool> {
    let done = server.storage.documents().remove(user, KIND, key).await;
    server.invalidate(&Invalidation::Strangers(user.clone()));
    done
}

fn read(user: &BareJid, key: String, xml: String) -> Option<Waiting> {
    let mut parts = key.splitn(4, '-');
    let at = parts.next().and_then(|at| at.parse().ok()).map(Timestamp::from_micros);
    let approach = parts.nth(1).and_then(Approach::of);
    let from = parts.next().and_then(|from| Jid::parse(from).ok());
    let (Some(at), Some(approach), Some(from)) = (at, approach, from) else {
        tracing::error!(jid = %user, "a stored stanza of a stranger is damaged");
        return None;
    };
    Some(Waiting { place: Place { approach, from, bytes: xml.len() }, key, at, xml })
}

/// The kind of the documents.
const KIND: &str = "strangers-waiting";
/// Stanzas that wait for an account.
const MOST: usize = 100;
/// Stanzas of one sender among them.
const MOST_OF_SENDER: usize = 20;
/// Bytes that wait for an account.
const MOST_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::{MOST, MOST_BYTES, MOST_OF_SENDER, Place, has_room, read};
    use crate::host::strangers::Approach;
    use crate::jid::{BareJid, Jid};

    fn place(from: &str, bytes: usize) -> Place {
        Place { approach: Approach::Message, from: Jid::parse(from).unwrap(), bytes }
    }

    #[test]
    fn what_waits_is_bounded_by_number_by_size_and_by_sender() {
        assert!(has_room(&[], "a@b", MOST_BYTES));
        assert!(!has_room(&[], "a@b", MOST_BYTES + 1));
        assert!(!has_room(&[place("c@d", 1)], "a@b", MOST_BYTES));
        let mut waiting = vec![place("a@b", 1); MOST_OF_SENDER];
        assert!(!has_room(&waiting, "a@b", 1) && has_room(&waiting, "c@d", 1));
        waiting.pop();
        assert!(has_room(&waiting, "a@b", 1));
        let others = (0..MOST).map(|n| place(&format!("s{n}@d"), 1)).collect::<Vec<_>>();
        assert!(!has_room(&others, "a@b", 1) && has_room(&others[1..], "a@b", 1));
    }

    #[test]
    fn a_key_says_who_sent_what_and_when() {
        let user = BareJid::parse("romeo@montague.lit").unwrap();
        let key = "00000000000000000007-000000001-calls-a-b@c-d.lit".to_owned();
        let waiting = read(&user, key.clone(), "<message/>".to_owned()).unwrap();
        assert_eq!((waiting.at.as_micros(), waiting.key), (7, key));
        assert_eq!(waiting.place, Place { approach: Approach::Call, ..place("a-b@c-d.lit", 10) });
        for damaged in ["", "7-1-calls-", "7-1-songs-a@b", "x-1-calls-a@b", "7-1-calls"] {
            assert_eq!(read(&user, damaged.to_owned(), String::new()), None, "{damaged}");
        }
    }
}
