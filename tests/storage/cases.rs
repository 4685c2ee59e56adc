//! What every backend must do.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use smallvec::smallvec;
use waxwing::jid::{BareJid, Jid};
use waxwing::payload::datetime::Timestamp;
use waxwing::storage::{
    Created, DeviceLogin, Holder, MessageId, NewAccount, NewMessage, Result, RosterItem, ScramHash,
    ScramKeys, Storage, StorageError, Subscription, Way,
};

pub(crate) fn user(text: &str) -> BareJid {
    Jid::parse(text).unwrap().to_bare()
}

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

pub(crate) fn keys(hash: ScramHash, byte: u8) -> ScramKeys {
    ScramKeys {
        hash,
        salt: vec![byte; 16],
        iterations: 10_000,
        stored_key: vec![byte, 1],
        server_key: vec![byte, 2],
    }
}

pub(crate) fn account(jid: &str) -> NewAccount {
    NewAccount {
        user: user(jid),
        keys: vec![
            keys(ScramHash::Sha1, 1),
            keys(ScramHash::Sha256, 2),
            keys(ScramHash::Sha512, 3),
        ],
        created: at(1_000),
        admin: false,
    }
}

pub(crate) fn item(jid: &str) -> RosterItem {
    RosterItem {
        jid: Jid::parse(jid).unwrap(),
        name: String::new(),
        groups: Vec::new(),
        subscription: Subscription::None,
        pending_out: false,
        pending_in: None,
        approved: false,
        listed: true,
    }
}

pub(crate) fn body(text: impl std::fmt::Display) -> Bytes {
    Bytes::from(format!("<message><body>{text}</body></message>"))
}

/// Keeps a message that is in no archive: it waits, with so many others at most. The account's own, so
/// that it needs no share of them.
pub(crate) async fn keep_waiting(
    s: &dyn Storage,
    owner: &BareJid,
    micros: i64,
    xml: Bytes,
    limit: u32,
) -> Result<MessageId> {
    let holder = Holder {
        owner: owner.clone(),
        with: owner.clone().into_jid(),
        way: Way::Received,
        archive: false,
        waiting: true,
        limit: Some(limit),
    };
    let holders = smallvec![holder];
    let message = NewMessage { at: at(micros), xml, holders, handled: None };
    let kept = s.archive().keep(message).await?;
    kept.receipt.await.map(|()| kept.id)
}

/// The numbers of all that waits.
pub(crate) async fn waiting_ids(s: &dyn Storage, owner: &BareJid) -> Vec<MessageId> {
    let waiting = s.archive().waiting(owner, None, usize::MAX).await.unwrap();
    waiting.iter().map(|w| w.id).collect()
}

pub(crate) async fn make(s: &Arc<dyn Storage>, jids: &[&str]) {
    let accounts: Vec<NewAccount> = jids.iter().map(|j| account(j)).collect();
    let made = s.accounts().create(&accounts).await.unwrap();
    assert!(made.iter().all(|m| *m == Created::Made), "{made:?}");
}

pub(crate) async fn what_is_not_there_is_none(s: Arc<dyn Storage>) {
    let nobody = user("nobody@localhost");
    let contact = Jid::parse("juliet@localhost").unwrap();
    assert_eq!(s.accounts().find(&nobody).await.unwrap(), None);
    assert_eq!(s.accounts().keys(&nobody, ScramHash::Sha1).await.unwrap(), None);
    assert!(!s.accounts().set_keys(&nobody, &[]).await.unwrap());
    assert!(!s.accounts().remove(&nobody).await.unwrap());
    s.accounts().note_login(&nobody, at(1)).await.unwrap();
    assert_eq!(s.accounts().create(&[]).await.unwrap(), []);
    assert_eq!(s.accounts().list(None, None, 10).await.unwrap(), []);
    assert_eq!(s.accounts().count(None).await.unwrap(), 0);
    assert_eq!(s.documents().get(&nobody, "vcard", "").await.unwrap(), None);
    assert_eq!(s.documents().all(&nobody, "vcard").await.unwrap(), []);
    assert!(!s.documents().remove(&nobody, "vcard", "").await.unwrap());
    assert_eq!(s.archive().waiting(&nobody, None, 10).await.unwrap(), []);
    s.archive().delivered(&nobody, &[]).await.unwrap();
    s.archive().delivered(&nobody, &[MessageId::new(i64::MAX).unwrap()]).await.unwrap();
    assert_eq!(s.archive().waiting_count(&nobody).await.unwrap(), 0);
    assert_eq!(s.roster().load(&nobody).await.unwrap(), (0, vec![]));
    assert_eq!(s.roster().find(&nobody, &contact).await.unwrap(), None);
    assert_eq!(s.roster().remove(&nobody, &contact).await.unwrap(), None);
}

/// Keeps something of everything for somebody.
pub(crate) async fn fill(s: &Arc<dyn Storage>, who: &BareJid) {
    s.documents().put(who, "vcard", "", "<vCard/>").await.unwrap();
    s.capabilities().remember(who, who.as_str(), &[]).await.unwrap();
    keep_waiting(&**s, who, 1, body(1), 10).await.unwrap();
    s.roster().put(who, &item("nurse@localhost"), 10).await.unwrap();
    s.accounts().note_login(who, at(9)).await.unwrap();
    let phone = crate::push::registration("push.example", "phone", 1);
    s.push().register(who, &phone, 9).await.unwrap();
    s.files().reserve(&crate::uploads::slot(who, 1), crate::uploads::ROOMY).await.unwrap();
    let token = crate::api_tokens::token(who.as_str(), 1, None);
    let hash = std::array::from_fn(|n| who.as_str().as_bytes()[n % who.as_str().len()]);
    s.api_tokens().add_api_token(who, hash, &token, 9).await.unwrap();
    s.invitations().add_invitation(&crate::invitations::invitation(who, 1), 9).await.unwrap();
    let client = DeviceLogin { id: "a".into(), software: None, device: None, by_password: true };
    s.devices().note_device(who, at(9), &client).await.unwrap();
}

pub(crate) async fn assert_empty(s: &Arc<dyn Storage>, who: &BareJid) {
    assert_eq!(s.push().registrations(who).await.unwrap(), []);
    assert_eq!(s.devices().of(who).await.unwrap(), []);
    assert_eq!(s.api_tokens().api_tokens(who).await.unwrap(), []);
    assert_eq!(s.invitations().invitations(Some(who), 9).await.unwrap(), []);
    assert_eq!(s.files().files_of(who, 9).await.unwrap(), []);
    assert_eq!(s.files().upload_day(who, at(1)).await.unwrap().bytes(), 0);
    assert_eq!(s.documents().all(who, "vcard").await.unwrap(), []);
    assert_eq!(s.capabilities().interests(who.as_str()).await.unwrap(), None);
    assert_eq!(s.archive().waiting_count(who).await.unwrap(), 0);
    assert_eq!(s.archive().waiting(who, None, 10).await.unwrap(), []);
    assert_eq!(s.roster().load(who).await.unwrap(), (0, vec![]));
}

pub(crate) async fn a_removed_account_leaves_nothing(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost", "juliet@localhost"]).await;
    let (romeo, juliet) = (user("romeo@localhost"), user("juliet@localhost"));
    fill(&s, &romeo).await;
    fill(&s, &juliet).await;
    assert!(s.accounts().remove(&romeo).await.unwrap());
    assert!(!s.accounts().remove(&romeo).await.unwrap());
    assert_eq!(s.accounts().find(&romeo).await.unwrap(), None);
    assert_eq!(s.accounts().keys(&romeo, ScramHash::Sha1).await.unwrap(), None);
    assert_empty(&s, &romeo).await;
    assert_eq!(s.archive().waiting_count(&juliet).await.unwrap(), 1);
    assert_eq!(s.roster().load(&juliet).await.unwrap().1.len(), 1);
    assert!(s.accounts().keys(&juliet, ScramHash::Sha1).await.unwrap().is_some());
}

pub(crate) async fn a_new_account_inherits_nothing(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost"]).await;
    let romeo = user("romeo@localhost");
    fill(&s, &romeo).await;
    let (old_version, _) = s.roster().load(&romeo).await.unwrap();
    s.accounts().remove(&romeo).await.unwrap();
    // A message on its way when the account is removed.
    fill(&s, &romeo).await;
    make(&s, &["romeo@localhost"]).await;
    assert_empty(&s, &romeo).await;
    assert_eq!(s.accounts().find(&romeo).await.unwrap().unwrap().last_login, None);
    // Or a client would take the roster it remembers for this one.
    let version = s.roster().put(&romeo, &item("nurse@localhost"), 10).await.unwrap();
    assert!(version > old_version, "{version} after {old_version}");
}

pub(crate) async fn a_document_replaces_the_older_one(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    s.documents().put(&romeo, "private", "a", "<a/>").await.unwrap();
    s.documents().put(&romeo, "private", "a", "<a>é</a>").await.unwrap();
    let kept = s.documents().get(&romeo, "private", "a").await.unwrap();
    assert_eq!(kept.as_deref(), Some("<a>é</a>"));
    assert_eq!(s.documents().get(&romeo, "private", "b").await.unwrap(), None);
    assert_eq!(s.documents().get(&romeo, "vcard", "a").await.unwrap(), None);
    assert_eq!(s.documents().get(&user("juliet@localhost"), "private", "a").await.unwrap(), None);
    assert!(s.documents().remove(&romeo, "private", "a").await.unwrap());
    assert!(!s.documents().remove(&romeo, "private", "a").await.unwrap());
    assert_eq!(s.documents().get(&romeo, "private", "a").await.unwrap(), None);
}

pub(crate) async fn documents_of_a_kind_come_by_key(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    for key in ["b", "", "a", "é"] {
        s.documents().put(&romeo, "private", key, "<x/>").await.unwrap();
    }
    s.documents().put(&romeo, "vcard", "c", "<x/>").await.unwrap();
    let all = s.documents().all(&romeo, "private").await.unwrap();
    let names: Vec<&str> = all.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(names, ["", "a", "b", "é"]);
}

pub(crate) async fn a_long_document_comes_back_whole(s: Arc<dyn Storage>) {
    let long = format!("<vCard>{}</vCard>", "x\"'\n\u{1F426}".repeat(50_000));
    s.documents().put(&user("romeo@localhost"), "vcard", "", &long).await.unwrap();
    let kept = s.documents().get(&user("romeo@localhost"), "vcard", "").await.unwrap();
    assert!(kept.as_deref() == Some(long.as_str()));
}

pub(crate) async fn messages_wait_in_order_and_by_page(s: Arc<dyn Storage>) {
    let (romeo, juliet) = (user("romeo@localhost"), user("juliet@localhost"));
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(keep_waiting(&*s, &romeo, n, body(n), 10).await.unwrap());
        keep_waiting(&*s, &juliet, n, body("hers"), 10).await.unwrap();
    }
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");

    let first = s.archive().waiting(&romeo, None, 2).await.unwrap();
    assert_eq!(first.iter().map(|m| m.id).collect::<Vec<_>>(), ids[..2]);
    assert_eq!((first[1].at, first[1].xml.clone()), (at(1), body(1)));
    let rest = s.archive().waiting(&romeo, Some(first[1].id), 10).await.unwrap();
    assert_eq!(rest.iter().map(|m| m.id).collect::<Vec<_>>(), ids[2..]);

    // The second time there is nothing left to fall.
    for _ in 0..2 {
        s.archive().delivered(&romeo, &ids[..3]).await.unwrap();
        assert_eq!(s.archive().waiting_count(&romeo).await.unwrap(), 2);
    }
    assert_eq!(waiting_ids(&*s, &romeo).await, ids[3..]);
    assert_eq!(s.archive().waiting_count(&juliet).await.unwrap(), 5);
}

pub(crate) async fn the_limit_of_messages_is_kept(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let first = keep_waiting(&*s, &romeo, 1, body(1), 2).await.unwrap();
    keep_waiting(&*s, &romeo, 2, body(2), 2).await.unwrap();
    let refused = keep_waiting(&*s, &romeo, 3, body(3), 2).await;
    assert!(matches!(refused, Err(StorageError::Limit(_))), "{refused:?}");
    s.archive().delivered(&romeo, &[first]).await.unwrap();
    assert_eq!(s.archive().waiting_count(&romeo).await.unwrap(), 1);
    keep_waiting(&*s, &romeo, 4, body(4), 2).await.unwrap();
    assert_eq!(s.archive().waiting_count(&romeo).await.unwrap(), 2);
    let none = keep_waiting(&*s, &user("juliet@localhost"), 1, body(1), 0).await;
    assert!(matches!(none, Err(StorageError::Limit(_))), "{none:?}");
}

pub(crate) async fn ids_of_messages_are_never_used_again(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let first = keep_waiting(&*s, &romeo, 1, body(1), 10).await.unwrap();
    s.archive().delivered(&romeo, &[first]).await.unwrap();
    assert_eq!(waiting_ids(&*s, &romeo).await, []);
    let second = keep_waiting(&*s, &romeo, 1, body(2), 10).await.unwrap();
    assert!(second > first);
}

pub(crate) async fn nobody_waits_for_a_full_neighbour(s: Arc<dyn Storage>) {
    let (full, free) = (user("full@localhost"), user("free@localhost"));
    keep_waiting(&*s, &full, 0, body(0), 1).await.unwrap();
    let keep = |n: i64| {
        let s = s.clone();
        let (owner, limit) = if n % 2 == 0 { (&full, 1) } else { (&free, 99) };
        async move { keep_waiting(&*s, owner, n, body(n), limit).await }
    };
    let answers = join_all((0..50).map(keep)).await;
    for (n, answer) in answers.iter().enumerate() {
        let is_right = match answer {
            Ok(_) => n % 2 == 1,
            Err(StorageError::Limit(_)) => n % 2 == 0,
            Err(_) => false,
        };
        assert!(is_right, "{n}: {answer:?}");
    }
    assert_eq!(s.archive().waiting_count(&full).await.unwrap(), 1);
    assert_eq!(s.archive().waiting_count(&free).await.unwrap(), 25);
}

pub(crate) async fn sixty_four_write_at_once(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost"]).await;
    let writer = |n: i64| {
        let s = s.clone();
        async move {
            let who = user(&format!("u{}@localhost", n % 16));
            for round in 0..5 {
                let id = keep_waiting(&*s, &who, n, body(n), 1_000).await.unwrap();
                let before = MessageId::new(id.get() - 1);
                let seen = s.archive().waiting(&who, before, 1).await.unwrap();
                assert_eq!(seen[0].id, id, "an acknowledged write is not seen");
                let key = format!("{n}/{round}");
                s.documents().put(&who, "test", &key, "<x/>").await.unwrap();
                assert!(s.documents().get(&who, "test", &key).await.unwrap().is_some());
                let contact = item(&format!("c{n}.{round}@localhost"));
                s.roster().put(&who, &contact, 1_000).await.unwrap();
            }
        }
    };
    join_all((0..64).map(writer)).await;
    for n in 0..16 {
        let who = user(&format!("u{n}@localhost"));
        assert_eq!(s.archive().waiting_count(&who).await.unwrap(), 20);
        assert_eq!(s.documents().all(&who, "test").await.unwrap().len(), 20);
        let (version, items) = s.roster().load(&who).await.unwrap();
        assert_eq!((version & 0xffff_ffff, items.len()), (20, 20));
    }
}

pub(crate) async fn a_closed_storage_answers_errors(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost"]).await;
    let romeo = user("romeo@localhost");
    s.close().await;
    s.close().await;
    assert!(s.accounts().find(&romeo).await.is_err());
    assert!(s.accounts().create(&[account("a@localhost")]).await.is_err());
    assert!(s.documents().put(&romeo, "k", "", "<x/>").await.is_err());
    assert!(keep_waiting(&*s, &romeo, 1, body(1), 10).await.is_err());
    assert!(s.archive().delivered(&romeo, &[MessageId::new(1).unwrap()]).await.is_err());
    assert!(s.archive().waiting(&romeo, None, 1).await.is_err());
    assert!(s.archive().waiting_count(&romeo).await.is_err());
    assert!(s.roster().load(&romeo).await.is_err());
}
