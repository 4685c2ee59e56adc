//! Files that users have uploaded.

use std::sync::Arc;

use waxwing::jid::BareJid;
use waxwing::storage::{
    ContentHash, FILE_QUOTA, FileBounds, FileId, Purpose, Storage, StorageError, StoredFile,
    UPLOAD_DAY, UploadedFiles,
};

use crate::cases::{at, make, user};

pub(crate) const ROOMY: FileBounds =
    FileBounds { bytes: 1 << 40, files: 1000, replace: false, per_day: None };

/// A slot that was asked for at this time, for a file of 10 bytes.
pub(crate) fn slot(owner: &BareJid, micros: i64) -> StoredFile {
    StoredFile {
        id: FileId::random(),
        owner: owner.clone(),
        name: "très cool.jpg".into(),
        size: 10,
        media_type: Some("image/jpeg".into()),
        purpose: Purpose::Message,
        created: at(micros),
        slot_until: at(micros + 100),
        expires: Some(at(micros + 1000)),
        content: None,
    }
}

fn hash(byte: u8) -> ContentHash {
    ContentHash::new([byte; 32])
}

/// A file whose content is there.
async fn file(s: &Arc<dyn Storage>, slot: StoredFile, content: u8) -> StoredFile {
    s.files().reserve(&slot, ROOMY).await.unwrap();
    s.files().announce_content(hash(content), slot.size).await.unwrap();
    assert_eq!(s.files().complete(slot.id, hash(content), ROOMY).await.unwrap(), Some(0));
    StoredFile { content: Some(hash(content)), ..slot }
}

fn is_full(error: &StorageError) -> bool {
    matches!(error, StorageError::Limit(FILE_QUOTA))
}

pub(crate) async fn a_slot_becomes_a_file_once(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let mut plain = slot(&romeo, 1);
    (plain.media_type, plain.expires) = (None, None);
    for slot in [slot(&romeo, 1), plain] {
        assert_eq!(s.files().find(slot.id).await.unwrap(), None);
        assert_eq!(s.files().complete(slot.id, hash(1), ROOMY).await.unwrap(), None);
        s.files().reserve(&slot, ROOMY).await.unwrap();
        assert_eq!(s.files().find(slot.id).await.unwrap(), Some(slot.clone()));
        s.files().extend(slot.id, at(500)).await.unwrap();
        s.files().extend(slot.id, at(400)).await.unwrap();
        let slot = StoredFile { slot_until: at(500), ..slot };
        assert_eq!(s.files().find(slot.id).await.unwrap(), Some(slot.clone()));
        s.files().announce_content(hash(1), 10).await.unwrap();
        assert_eq!(s.files().complete(slot.id, hash(1), ROOMY).await.unwrap(), Some(0));
        s.files().announce_content(hash(2), 10).await.unwrap();
        assert_eq!(s.files().complete(slot.id, hash(2), ROOMY).await.unwrap(), None);
        let file = StoredFile { content: Some(hash(1)), ..slot };
        assert_eq!(s.files().find(file.id).await.unwrap(), Some(file));
    }
    let totals = s.files().totals().await.unwrap();
    assert_eq!((totals.files, totals.bytes), (2, 20));
    assert_eq!((totals.contents, totals.content_bytes), (2, 20));
}

pub(crate) async fn files_of_an_account_come_newest_first(s: Arc<dyn Storage>) {
    let (romeo, juliet) = (user("romeo@localhost"), user("juliet@localhost"));
    assert_eq!(s.files().files_of(&romeo, 9).await.unwrap(), []);
    let mut files = Vec::new();
    for micros in [3, 1, 2] {
        files.push(file(&s, slot(&romeo, micros), 1).await);
    }
    let other = file(&s, slot(&juliet, 4), 1).await;
    files.sort_by_key(|file| std::cmp::Reverse(file.created));
    assert_eq!(s.files().files_of(&romeo, 9).await.unwrap(), files);
    assert_eq!(s.files().files_of(&romeo, 2).await.unwrap(), files[..2]);
    // Nobody removes what belongs to others.
    assert!(!s.files().remove_file(&romeo, other.id).await.unwrap());
    assert!(!s.files().remove_file(&user("nobody@localhost"), other.id).await.unwrap());
    assert!(s.files().remove_file(&romeo, files[1].id).await.unwrap());
    assert!(!s.files().remove_file(&romeo, files[1].id).await.unwrap());
    files.remove(1);
    assert_eq!(s.files().files_of(&romeo, 9).await.unwrap(), files);
    assert_eq!(s.files().files_of(&juliet, 9).await.unwrap(), [other]);
}

pub(crate) async fn files_share_a_quota_by_purpose(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    assert_eq!(s.files().used_by(&romeo, Purpose::Message).await.unwrap(), (0, 0));
    let bounds = FileBounds { bytes: 20, files: 5, replace: false, per_day: None };
    let of = |purpose| StoredFile { purpose, ..slot(&romeo, 1) };
    for purpose in [Purpose::Message, Purpose::Ephemeral, Purpose::Profile, Purpose::Permanent] {
        s.files().reserve(&of(purpose), bounds).await.unwrap();
    }
    for (purpose, used) in [
        (Purpose::Message, (20, 4)),
        (Purpose::Ephemeral, (20, 4)),
        (Purpose::Profile, (10, 4)),
        (Purpose::Permanent, (10, 5)),
    ] {
        assert_eq!(s.files().used_by(&romeo, purpose).await.unwrap(), used, "{purpose:?}");
        let fits = s.files().reserve(&of(purpose), bounds).await;
        assert_eq!(fits.is_ok(), purpose == Purpose::Profile, "{purpose:?}");
        assert!(fits.is_ok() || is_full(&fits.unwrap_err()));
    }
}

pub(crate) async fn a_full_quota_is_refused(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    file(&s, slot(&romeo, 1), 1).await;
    file(&s, slot(&romeo, 2), 2).await;
    let bounds = FileBounds { bytes: 25, files: 9, replace: false, per_day: None };
    assert!(is_full(&s.files().reserve(&slot(&romeo, 3), bounds).await.unwrap_err()));
    let few = FileBounds { bytes: 1000, files: 2, replace: false, per_day: None };
    assert!(is_full(&s.files().reserve(&slot(&romeo, 3), few).await.unwrap_err()));
    assert_eq!(s.files().files_of(&romeo, 9).await.unwrap().len(), 2);
}

pub(crate) async fn old_files_make_room_when_a_new_one_is_there(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let (one, two) = (file(&s, slot(&romeo, 1), 1).await, file(&s, slot(&romeo, 2), 2).await);
    let profile = StoredFile { purpose: Purpose::Profile, ..slot(&romeo, 0) };
    let profile = file(&s, profile, 3).await;
    let bounds = FileBounds { bytes: 25, files: 9, replace: true, per_day: None };
    let huge = StoredFile { size: 26, ..slot(&romeo, 3) };
    assert!(is_full(&s.files().reserve(&huge, bounds).await.unwrap_err()));
    // A slot that may never be used removes nothing.
    let three = slot(&romeo, 3);
    s.files().reserve(&three, bounds).await.unwrap();
    let all = [three.clone(), two.clone(), one.clone(), profile.clone()];
    assert_eq!(s.files().files_of(&romeo, 9).await.unwrap(), all);
    // Slots have the same bounds among themselves: they make no room for one another.
    let large = StoredFile { size: 20, ..slot(&romeo, 4) };
    assert!(is_full(&s.files().reserve(&large, bounds).await.unwrap_err()));
    // When it is there, the oldest goes; what has another quota does not.
    s.files().announce_content(hash(4), 10).await.unwrap();
    assert_eq!(s.files().complete(three.id, hash(4), bounds).await.unwrap(), Some(1));
    let three = StoredFile { content: Some(hash(4)), ..three };
    let left = [three.clone(), two.clone(), profile.clone()];
    assert_eq!(s.files().files_of(&romeo, 9).await.unwrap(), left);
    assert!(s.files().is_unused(one.content.unwrap()).await.unwrap());
    // Nor is the number exceeded. A file that is older than those that are there stays.
    let few = FileBounds { bytes: 1000, files: 2, replace: true, per_day: None };
    let early = slot(&romeo, 0);
    s.files().reserve(&early, few).await.unwrap();
    assert!(is_full(&s.files().reserve(&slot(&romeo, 6), few).await.unwrap_err()));
    assert_eq!(s.files().complete(early.id, hash(4), few).await.unwrap(), Some(2));
    let early = StoredFile { content: Some(hash(4)), ..early };
    let mut left = s.files().files_of(&romeo, 9).await.unwrap();
    left.sort_by_key(|file| file.purpose.as_str());
    assert_eq!(left, [early, profile]);
}

pub(crate) async fn files_that_are_there_are_listed_apart(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    assert_eq!(s.files().uploaded(&romeo, at(0), 9).await.unwrap(), UploadedFiles::default());
    assert_eq!(s.files().next_end(&romeo, Purpose::Message).await.unwrap(), None);
    let (one, two) = (file(&s, slot(&romeo, 1), 1).await, file(&s, slot(&romeo, 2), 2).await);
    let forever = StoredFile { expires: None, purpose: Purpose::Permanent, ..slot(&romeo, 3) };
    let forever = file(&s, forever, 3).await;
    assert_eq!(s.files().next_end(&romeo, Purpose::Ephemeral).await.unwrap(), Some(at(1001)));
    assert_eq!(s.files().next_end(&romeo, Purpose::Permanent).await.unwrap(), None);
    for micros in 4..7 {
        s.files().reserve(&slot(&romeo, micros), ROOMY).await.unwrap();
    }
    assert_eq!(s.files().next_end(&romeo, Purpose::Message).await.unwrap(), Some(at(104)));
    for (now, limit, newest, all) in [
        (0, 9, vec![&forever, &two, &one], 3),
        (0, 2, vec![&forever, &two], 3),
        (1001, 9, vec![&forever, &two], 2),
        (9999, 9, vec![&forever], 1),
    ] {
        let newest = newest.into_iter().cloned().collect();
        let found = s.files().uploaded(&romeo, at(now), limit).await.unwrap();
        assert_eq!(found, UploadedFiles { newest, all }, "{now} {limit}");
    }
}

pub(crate) async fn files_expire_and_slots_do(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let used = file(&s, slot(&romeo, 1), 1).await;
    let forever = file(&s, StoredFile { expires: None, ..slot(&romeo, 2) }, 2).await;
    let unused = slot(&romeo, 3);
    s.files().reserve(&unused, ROOMY).await.unwrap();
    assert_eq!(s.files().expired_slots(at(102), 9).await.unwrap(), []);
    assert_eq!(s.files().expired_slots(at(103), 9).await.unwrap(), std::slice::from_ref(&unused));
    assert_eq!(s.files().remove_expired(at(103), 9).await.unwrap(), 0);
    assert!(s.files().give_up(unused.id, 10).await.unwrap());
    assert_eq!(s.files().expired_slots(at(103), 9).await.unwrap(), []);
    assert_eq!(s.files().find(unused.id).await.unwrap(), None);
    assert_eq!(s.files().remove_expired(at(1000), 9).await.unwrap(), 0);
    assert_eq!(s.files().remove_expired(at(1001), 9).await.unwrap(), 1);
    assert_eq!(s.files().find(used.id).await.unwrap(), None);
    assert_eq!(s.files().remove_expired(at(i64::MAX), 9).await.unwrap(), 0);
    assert_eq!(s.files().files_of(&romeo, 9).await.unwrap(), [forever]);
    for micros in 0..3 {
        file(&s, slot(&romeo, micros), 1).await;
    }
    assert_eq!(s.files().remove_expired(at(9999), 2).await.unwrap(), 2);
    assert_eq!(s.files().remove_expired(at(9999), 2).await.unwrap(), 1);
}

/// An hour, in microseconds.
const HOUR: i64 = 3_600_000_000;

pub(crate) async fn a_day_has_so_many_bytes(s: Arc<dyn Storage>) {
    let (romeo, juliet) = (user("romeo@localhost"), user("juliet@localhost"));
    let day = FileBounds { per_day: Some(25), ..ROOMY };
    let of_day = |owner: BareJid, micros: i64| {
        let s = Arc::clone(&s);
        async move { s.files().upload_day(&owner, at(micros)).await.unwrap() }
    };
    assert_eq!(of_day(romeo.clone(), 0).await.bytes(), 0);
    s.files().reserve(&slot(&romeo, 5), day).await.unwrap();
    s.files().reserve(&slot(&romeo, HOUR), day).await.unwrap();
    let refused = s.files().reserve(&slot(&romeo, HOUR), day).await.unwrap_err();
    assert!(matches!(refused, StorageError::Limit(UPLOAD_DAY)), "{refused}");
    // What was refused counts for nothing, each purpose counts, and others have a day of their own.
    assert_eq!(of_day(romeo.clone(), HOUR).await.bytes(), 20);
    let profile = StoredFile { purpose: Purpose::Profile, ..slot(&romeo, HOUR) };
    assert!(s.files().reserve(&profile, day).await.is_err());
    s.files().reserve(&slot(&juliet, HOUR), day).await.unwrap();
    assert_eq!(of_day(romeo.clone(), HOUR).await.room_at(10, 25), Some(at(24 * HOUR)));
    // A file that is removed was uploaded all the same.
    let newest = s.files().files_of(&romeo, 1).await.unwrap().remove(0);
    assert!(s.files().remove_file(&romeo, newest.id).await.unwrap());
    assert!(s.files().reserve(&slot(&romeo, 24 * HOUR - 1), day).await.is_err());
    s.files().reserve(&slot(&romeo, 24 * HOUR), day).await.unwrap();
    assert_eq!(of_day(romeo.clone(), 24 * HOUR).await.bytes(), 20);
    assert_eq!(of_day(romeo, 99 * HOUR).await.bytes(), 0);
}

pub(crate) async fn a_slot_that_is_given_up_counts_for_what_was_sent(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let (one, two) = (slot(&romeo, 1), slot(&romeo, HOUR));
    for slot in [&one, &two] {
        s.files().reserve(slot, ROOMY).await.unwrap();
    }
    let bytes = |micros: i64| {
        let (s, romeo) = (Arc::clone(&s), romeo.clone());
        async move { s.files().upload_day(&romeo, at(micros)).await.unwrap().bytes() }
    };
    assert!(s.files().give_up(one.id, 7).await.unwrap());
    assert!(!s.files().give_up(one.id, 7).await.unwrap());
    assert_eq!(bytes(HOUR).await, 13);
    // Never more than there was in its hour; and a file that is there is no slot.
    let done = file(&s, slot(&romeo, HOUR), 1).await;
    assert!(!s.files().give_up(done.id, 10).await.unwrap());
    assert!(s.files().give_up(two.id, u64::MAX).await.unwrap());
    assert_eq!(bytes(HOUR).await, 3);
    assert_eq!(s.files().files_of(&romeo, 9).await.unwrap(), [done]);
}

pub(crate) async fn a_content_is_unused_when_no_file_has_it(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost", "juliet@localhost"]).await;
    let (romeo, juliet) = (user("romeo@localhost"), user("juliet@localhost"));
    s.files().announce_content(hash(7), 10).await.unwrap();
    assert_eq!(s.files().unused_contents(None, 9).await.unwrap(), [hash(7)]);
    let (ours, theirs) = (file(&s, slot(&romeo, 1), 7).await, file(&s, slot(&juliet, 1), 7).await);
    assert_eq!(s.files().totals().await.unwrap().contents, 1);
    assert!(s.files().remove_file(&romeo, ours.id).await.unwrap());
    assert!(!s.files().is_unused(hash(7)).await.unwrap());
    assert!(!s.files().forget_content(hash(7)).await.unwrap());
    assert_eq!(s.files().unused_contents(None, 9).await.unwrap(), []);
    // Files go with their accounts; contents are to be removed from the disk first.
    assert!(s.accounts().remove(&juliet).await.unwrap());
    assert_eq!(s.files().find(theirs.id).await.unwrap(), None);
    assert!(s.files().is_unused(hash(7)).await.unwrap());
    assert_eq!(s.files().unused_contents(None, 9).await.unwrap(), [hash(7)]);
    assert!(s.files().forget_content(hash(7)).await.unwrap());
    assert_eq!(s.files().unused_contents(None, 9).await.unwrap(), []);
    assert_eq!(s.files().totals().await.unwrap().contents, 0);
    // They come in order, page by page.
    for byte in [3, 1, 2] {
        s.files().announce_content(hash(byte), 10).await.unwrap();
    }
    assert_eq!(s.files().unused_contents(None, 2).await.unwrap(), [hash(1), hash(2)]);
    assert_eq!(s.files().unused_contents(Some(hash(2)), 2).await.unwrap(), [hash(3)]);
    assert_eq!(s.files().unused_contents(Some(hash(3)), 2).await.unwrap(), []);
}
