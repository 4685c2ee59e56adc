//! Accounts, their keys, and the secret of the server.

use std::sync::Arc;

use waxwing::jid::BareJid;
use waxwing::storage::{Created, NewAccount, ScramHash, ScramKeys, Storage};

use crate::cases::{account, at, body, keep_waiting, keys, make, user};

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
    // The next account with this name does not inherit the role.
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
