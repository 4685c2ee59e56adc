//! Files that users have uploaded.

use std::sync::Arc;

use waxwing::jid::BareJid;
use waxwing::storage::{
    ContentHash, FILE_QUOTA, FileBounds, FileId, Purpose, Storage, StorageError, StoredFile,
};

use crate::cases::{at, make, user};

pub(crate) const ROOMY: FileBounds = FileBounds { bytes: 1 << 40, files: 1000, replace: false };

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
    assert!(s.files().complete(slot.id, hash(content)).await.unwrap());
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
        assert!(!s.files().complete(slot.id, hash(1)).await.unwrap());
        s.files().reserve(&slot, ROOMY).await.unwrap();
        assert_eq!(s.files().find(slot.id).await.unwrap(), Some(slot.clone()));
        s.files().extend(slot.id, at(500)).await.unwrap();
        s.files().extend(slot.id, at(400)).await.unwrap();
        let slot = StoredFile { slot_until: at(500), ..slot };
        assert_eq!(s.files().find(slot.id).await.unwrap(), Some(slot.clone()));
        s.files().announce_content(hash(1), 10).await.unwrap();
        assert!(s.files().complete(slot.id, hash(1)).await.unwrap());
        s.files().announce_content(hash(2), 10).await.unwrap();
        assert!(!s.files().complete(slot.id, hash(2)).await.unwrap());
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
    let bounds = FileBounds { bytes: 20, files: 5, replace: false };
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

pub(crate) async fn a_full_quota_is_refused_or_replaced(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let (one, two) = (file(&s, slot(&romeo, 1), 1).await, file(&s, slot(&romeo, 2), 2).await);
    let profile = StoredFile { purpose: Purpose::Profile, ..slot(&romeo, 0) };
    let profile = file(&s, profile, 3).await;
    let bounds = FileBounds { bytes: 25, files: 9, replace: false };
    let three = slot(&romeo, 3);
    assert!(is_full(&s.files().reserve(&three, bounds).await.unwrap_err()));
    let replace = FileBounds { replace: true, ..bounds };
    let huge = StoredFile { size: 26, ..slot(&romeo, 3) };
    assert!(is_full(&s.files().reserve(&huge, replace).await.unwrap_err()));
    s.files().reserve(&three, replace).await.unwrap();
    // The oldest has gone; what has another quota has not.
    let left = [three.clone(), two.clone(), profile.clone()];
    assert_eq!(s.files().files_of(&romeo, 9).await.unwrap(), left);
    assert!(s.files().is_unused(one.content.unwrap()).await.unwrap());
    // What is not uploaded yet makes no room.
    let large = StoredFile { size: 20, ..slot(&romeo, 4) };
    assert!(is_full(&s.files().reserve(&large, replace).await.unwrap_err()));
    assert_eq!(s.files().files_of(&romeo, 9).await.unwrap(), left);
    // Nor is the number exceeded.
    let few = FileBounds { bytes: 1000, files: 3, replace: true };
    s.files().reserve(&slot(&romeo, 5), few).await.unwrap();
    assert_eq!(s.files().find(two.id).await.unwrap(), None);
    assert!(is_full(&s.files().reserve(&slot(&romeo, 6), few).await.unwrap_err()));
}

pub(crate) async fn files_expire_and_slots_do(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let used = file(&s, slot(&romeo, 1), 1).await;
    let forever = file(&s, StoredFile { expires: None, ..slot(&romeo, 2) }, 2).await;
    let unused = slot(&romeo, 3);
    s.files().reserve(&unused, ROOMY).await.unwrap();
    assert_eq!(s.files().remove_expired(at(102), 9).await.unwrap(), 0);
    assert_eq!(s.files().remove_expired(at(103), 9).await.unwrap(), 1);
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

pub(crate) async fn a_content_is_unused_when_no_file_has_it(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost", "juliet@localhost"]).await;
    let (romeo, juliet) = (user("romeo@localhost"), user("juliet@localhost"));
    s.files().announce_content(hash(7), 10).await.unwrap();
    assert_eq!(s.files().unused_contents(9).await.unwrap(), [hash(7)]);
    let (ours, theirs) = (file(&s, slot(&romeo, 1), 7).await, file(&s, slot(&juliet, 1), 7).await);
    assert_eq!(s.files().totals().await.unwrap().contents, 1);
    assert!(s.files().remove_file(&romeo, ours.id).await.unwrap());
    assert!(!s.files().is_unused(hash(7)).await.unwrap());
    assert!(!s.files().forget_content(hash(7)).await.unwrap());
    assert_eq!(s.files().unused_contents(9).await.unwrap(), []);
    // Files go with their accounts; contents are to be removed from the disk first.
    assert!(s.accounts().remove(&juliet).await.unwrap());
    assert_eq!(s.files().find(theirs.id).await.unwrap(), None);
    assert!(s.files().is_unused(hash(7)).await.unwrap());
    assert_eq!(s.files().unused_contents(9).await.unwrap(), [hash(7)]);
    assert!(s.files().forget_content(hash(7)).await.unwrap());
    assert_eq!(s.files().unused_contents(9).await.unwrap(), []);
    assert_eq!(s.files().totals().await.unwrap().contents, 0);
}
