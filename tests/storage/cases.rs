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

fn keys(hash: ScramHash, byte: u8) -> ScramKeys {
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
    let message = NewMessage { at: at(micros), xml, holders, search: None, handled: None };
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

pub(crate) async fn an_account_is_made_once(s: Arc<dyn Storage>) {
    let twice = [account("romeo@localhost"), account("romeo@localhost")];
    assert_eq!(s.accounts().create(&twice).await.unwrap(), [Created::Made, Created::Exists]);
    let mut later = account("romeo@localhost");
    later.created = at(2_000);
    later.keys = vec![keys(ScramHash::Sha1, 9)];
    let answer = s.accounts().create(&[later, account("juliet@localhost")]).await.unwrap();
    assert_eq!(answer, [Created::Exists, Created::Made]);

    let romeo = user("romeo@localhost");
    let found = s.accounts().find(&romeo).await.unwrap().unwrap();
    assert_eq!((found.user, found.created, found.last_login), (romeo.clone(), at(1_000), None));
    let stored = s.accounts().keys(&romeo, ScramHash::Sha1).await.unwrap().unwrap();
    assert_eq!(stored, keys(ScramHash::Sha1, 1));
}

pub(crate) async fn keys_are_of_one_hash(s: Arc<dyn Storage>) {
    let mut only_one = account("juliet@localhost");
    only_one.keys.remove(0);
    s.accounts().create(&[account("romeo@localhost"), only_one]).await.unwrap();
    let romeo = user("romeo@localhost");
    for (hash, byte) in [(ScramHash::Sha1, 1), (ScramHash::Sha256, 2), (ScramHash::Sha512, 3)] {
        assert_eq!(s.accounts().keys(&romeo, hash).await.unwrap(), Some(keys(hash, byte)));
    }
    let juliet = user("juliet@localhost");
    assert_eq!(s.accounts().keys(&juliet, ScramHash::Sha1).await.unwrap(), None);
    assert!(s.accounts().keys(&juliet, ScramHash::Sha512).await.unwrap().is_some());
    let nurse = user("nurse@localhost");
    for (user, expected, hashes) in [
        (
            &romeo,
            Some(keys(ScramHash::Sha1, 1)),
            &[ScramHash::Sha1, ScramHash::Sha256, ScramHash::Sha512][..],
        ),
        (&juliet, Some(keys(ScramHash::Sha256, 2)), &[ScramHash::Sha256, ScramHash::Sha512]),
        (&nurse, None, &[]),
    ] {
        assert_eq!(s.accounts().cheapest_keys(user).await.unwrap(), expected, "{user}");
        assert_eq!(s.accounts().hashes(user).await.unwrap(), hashes, "{user}");
    }
}

pub(crate) async fn keys_are_added_to_the_proven_password(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let mut imported = account("romeo@localhost");
    imported.keys.truncate(1);
    s.accounts().create(&[imported]).await.unwrap();
    let proven = keys(ScramHash::Sha1, 1);
    let other = keys(ScramHash::Sha1, 9);
    let new = keys(ScramHash::Sha512, 5);
    let add = async |user: &BareJid, proven: &ScramKeys, new: &ScramKeys| {
        s.accounts().add_keys(user, (proven.hash, &proven.stored_key), new).await.unwrap()
    };
    assert!(!add(&romeo, &other, &new).await);
    assert!(!add(&user("nobody@localhost"), &proven, &new).await);
    assert_eq!(s.accounts().keys(&romeo, ScramHash::Sha512).await.unwrap(), None);
    assert!(add(&romeo, &proven, &new).await);
    // Keys that are there stay.
    assert!(add(&romeo, &proven, &keys(ScramHash::Sha512, 6)).await);
    assert!(add(&romeo, &proven, &other).await);
    assert_eq!(s.accounts().keys(&romeo, ScramHash::Sha512).await.unwrap(), Some(new));
    assert_eq!(s.accounts().keys(&romeo, ScramHash::Sha1).await.unwrap(), Some(proven));
}

pub(crate) async fn keys_are_replaced_together(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost"]).await;
    let romeo = user("romeo@localhost");
    assert!(s.accounts().set_keys(&romeo, &[keys(ScramHash::Sha256, 7)]).await.unwrap());
    assert_eq!(s.accounts().keys(&romeo, ScramHash::Sha1).await.unwrap(), None);
    let stored = s.accounts().keys(&romeo, ScramHash::Sha256).await.unwrap();
    assert_eq!(stored, Some(keys(ScramHash::Sha256, 7)));
    // Somebody for whom something is kept, but who has no account, gets no keys.
    let guest = user("guest@localhost");
    s.documents().put(&guest, "vcard", "", "<vCard/>").await.unwrap();
    assert!(!s.accounts().set_keys(&guest, &[keys(ScramHash::Sha1, 1)]).await.unwrap());
    assert_eq!(s.accounts().keys(&guest, ScramHash::Sha1).await.unwrap(), None);
}

pub(crate) async fn a_login_is_noted(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost"]).await;
    let romeo = user("romeo@localhost");
    s.accounts().note_login(&romeo, at(5_000)).await.unwrap();
    s.accounts().note_login(&romeo, at(6_000)).await.unwrap();
    // It may be late, but not later than the next write.
    s.documents().put(&romeo, "k", "", "<x/>").await.unwrap();
    let found = s.accounts().find(&romeo).await.unwrap().unwrap();
    assert_eq!(found.last_login, Some(at(6_000)));
}

pub(crate) async fn accounts_are_listed_in_order_and_by_page(s: Arc<dyn Storage>) {
    // `-` sorts before `@`: order is that of the whole text.
    let jids = ["b@localhost", "a@localhost", "a-b@localhost", "ab@localhost", "a@example.org"];
    make(&s, &jids).await;
    keep_waiting(&*s, &user("aa@localhost"), 1, body(1), 10).await.unwrap();

    let mut sorted = jids.to_vec();
    sorted.sort_unstable();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = s.accounts().list(None, after.as_ref(), 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.user.clone());
        seen.extend(page.iter().map(|a| a.user.to_string()));
    }
    assert_eq!(seen, sorted);

    let here = s.accounts().list(Some("localhost"), Some(&user("a@localhost")), 10).await.unwrap();
    let here: Vec<String> = here.iter().map(|a| a.user.to_string()).collect();
    assert_eq!(here, ["ab@localhost", "b@localhost"]);
    assert_eq!(s.accounts().list(Some("nowhere"), None, 10).await.unwrap(), []);
    assert_eq!(s.accounts().list(None, None, 0).await.unwrap(), []);
    assert_eq!(s.accounts().list(None, None, usize::MAX).await.unwrap().len(), 5);
}

pub(crate) async fn accounts_are_counted_by_domain(s: Arc<dyn Storage>) {
    make(&s, &["a@localhost", "b@localhost", "a@example.org"]).await;
    keep_waiting(&*s, &user("c@localhost"), 1, body(1), 10).await.unwrap();
    assert_eq!(s.accounts().count(None).await.unwrap(), 3);
    assert_eq!(s.accounts().count(Some("localhost")).await.unwrap(), 2);
    assert_eq!(s.accounts().count(Some("nowhere")).await.unwrap(), 0);
}

pub(crate) async fn many_accounts_are_made_at_once(s: Arc<dyn Storage>) {
    let many: Vec<NewAccount> = (0..1_000).map(|i| account(&format!("u{i}@localhost"))).collect();
    let made = s.accounts().create(&many).await.unwrap();
    assert_eq!(made, vec![Created::Made; 1_000]);
    assert_eq!(s.accounts().count(Some("localhost")).await.unwrap(), 1_000);
    let last = user("u999@localhost");
    let stored = s.accounts().keys(&last, ScramHash::Sha512).await.unwrap();
    assert_eq!(stored, Some(keys(ScramHash::Sha512, 3)));
}

pub(crate) async fn administrators_are_known_by_their_role(s: Arc<dyn Storage>) {
    let first = NewAccount { admin: true, ..account("juliet@localhost") };
    s.accounts().create(&[first, account("romeo@localhost")]).await.unwrap();
    let (romeo, juliet, nobody) =
        (user("romeo@localhost"), user("juliet@localhost"), user("nobody@localhost"));
    assert!(s.accounts().find(&juliet).await.unwrap().unwrap().admin);
    assert!(!s.accounts().find(&romeo).await.unwrap().unwrap().admin);
    assert_eq!(s.accounts().admins().await.unwrap(), std::slice::from_ref(&juliet));
    assert!(s.accounts().set_admin(&romeo, true).await.unwrap());
    assert!(!s.accounts().set_admin(&nobody, true).await.unwrap());
    // A login and another password change nothing of it.
    s.accounts().note_login(&romeo, at(5)).await.unwrap();
    s.accounts().set_keys(&romeo, &[]).await.unwrap();
    assert_eq!(s.accounts().admins().await.unwrap(), [juliet.clone(), romeo.clone()]);
    let listed = s.accounts().list(None, None, 10).await.unwrap();
    assert!(listed.iter().all(|account| account.admin));
    assert!(s.accounts().set_admin(&juliet, false).await.unwrap());
    // Whoever has the name next does not inherit the role.
    assert!(s.accounts().remove(&romeo).await.unwrap());
    s.accounts().create(&[account("romeo@localhost")]).await.unwrap();
    assert!(s.accounts().admins().await.unwrap().is_empty());
}

pub(crate) async fn the_secret_stays_the_same(s: Arc<dyn Storage>) {
    let (a, b) = tokio::join!(s.accounts().secret(), s.accounts().secret());
    let a = a.unwrap();
    assert_eq!(a, b.unwrap());
    assert_eq!(a, s.accounts().secret().await.unwrap());
    assert_ne!(a, [0; 32]);
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

pub(crate) async fn a_roster_comes_back_as_it_was_put(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let mut juliet = RosterItem {
        name: "Juliet \"J\" 💕".into(),
        groups: vec!["Friends".into(), "a, b; [\"c\"]".into(), String::new()],
        subscription: Subscription::Both,
        pending_out: true,
        pending_in: Some("<presence type='subscribe'><status>hi</status></presence>".into()),
        approved: true,
        ..item("juliet@example.org")
    };
    let request = RosterItem { listed: false, ..item("benvolio@localhost") };
    let domain = RosterItem { subscription: Subscription::From, ..item("example.org") };
    let mut last = 0;
    for item in [&juliet, &request, &domain] {
        let version = s.roster().put(&romeo, item, 10).await.unwrap();
        assert!(version > last, "{version} after {last}");
        last = version;
    }
    let (version, items) = s.roster().load(&romeo).await.unwrap();
    assert_eq!(version, last);
    assert_eq!(items, [request, domain, juliet.clone()]);
    assert_eq!(s.roster().find(&romeo, &juliet.jid).await.unwrap(), Some(juliet.clone()));

    juliet.subscription = Subscription::To;
    juliet.pending_in = None;
    juliet.groups.clear();
    assert_eq!(s.roster().put(&romeo, &juliet, 10).await.unwrap(), last + 1);
    assert_eq!(s.roster().find(&romeo, &juliet.jid).await.unwrap(), Some(juliet));
    assert_eq!(s.roster().load(&user("juliet@localhost")).await.unwrap(), (0, vec![]));
}

pub(crate) async fn a_removed_item_raises_the_version(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let contact = item("juliet@localhost");
    let first = s.roster().put(&romeo, &contact, 10).await.unwrap();
    assert_eq!(s.roster().remove(&romeo, &contact.jid).await.unwrap(), Some(first + 1));
    assert_eq!(s.roster().remove(&romeo, &contact.jid).await.unwrap(), None);
    assert_eq!(s.roster().load(&romeo).await.unwrap(), (first + 1, vec![]));
    assert_eq!(s.roster().put(&romeo, &contact, 10).await.unwrap(), first + 2);
}

pub(crate) async fn a_full_roster_still_takes_changes(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    s.roster().put(&romeo, &item("a@localhost"), 2).await.unwrap();
    let version = s.roster().put(&romeo, &item("b@localhost"), 2).await.unwrap();
    let refused = s.roster().put(&romeo, &item("c@localhost"), 2).await;
    assert!(matches!(refused, Err(StorageError::Limit(_))), "{refused:?}");
    assert_eq!(s.roster().load(&romeo).await.unwrap().0, version);
    let renamed = RosterItem { name: "B".into(), ..item("b@localhost") };
    s.roster().put(&romeo, &renamed, 2).await.unwrap();
    s.roster().remove(&romeo, &renamed.jid).await.unwrap();
    s.roster().put(&romeo, &item("c@localhost"), 2).await.unwrap();
}

pub(crate) async fn requests_do_not_fill_a_roster(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    for n in 0..2 {
        let request = RosterItem { listed: false, ..item(&format!("x{n}@localhost")) };
        s.roster().put(&romeo, &request, 2).await.unwrap();
    }
    let third = RosterItem { listed: false, ..item("x2@localhost") };
    let refused = s.roster().put(&romeo, &third, 2).await;
    assert!(matches!(refused, Err(StorageError::Limit(_))), "{refused:?}");
    s.roster().put(&romeo, &item("a@localhost"), 2).await.unwrap();
    s.roster().put(&romeo, &item("x0@localhost"), 2).await.unwrap();
    let refused = s.roster().put(&romeo, &item("x1@localhost"), 2).await;
    assert!(matches!(refused, Err(StorageError::Limit(_))), "{refused:?}");
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
