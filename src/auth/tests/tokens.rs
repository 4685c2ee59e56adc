//! Tokens (XEP-0484): how many clients have one, and what is stored of them.

use std::time::Duration;

use super::super::token::KIND;
use super::super::{Binding, MechanismName, PasswordKey, clients_with_tokens};
use super::*;
use crate::storage::MemoryStorage;

const ROMEO: &str = "romeo@example.com";

async fn verifier() -> (Verifier, Arc<dyn Storage>, Clock, PasswordKey) {
    let storage: Arc<dyn Storage> = MemoryStorage::new();
    let clock = Clock::manual(Timestamp::from_micros(5));
    let keys = derive_keys(PASSWORD, ROUNDS).unwrap();
    let key = PasswordKey { hash: keys[0].hash, stored_key: keys[0].stored_key.clone() };
    let new = NewAccount { user: user(), keys, admin: false, created: clock.now() };
    storage.accounts().create(&[new]).await.unwrap();
    let derivations = Derivations::new(&config());
    let verifier =
        Verifier::new(Arc::clone(&storage), &config(), derivations, clock.clone()).await.unwrap();
    (verifier.with_token_key([7; 32]), storage, clock, key)
}

fn user() -> BareJid {
    BareJid::parse(ROMEO).unwrap()
}

#[tokio::test]
async fn what_is_stored_does_not_contain_the_token() {
    let (verifier, storage, _, key) = verifier().await;
    let mechanism = MechanismName::Token(Binding::None);
    let issued = verifier.issue_token(&user(), "desk", mechanism, &key, 0).await.unwrap().unwrap();
    let stored = storage.documents().get(&user(), KIND, "desk").await.unwrap().unwrap();
    assert!(!stored.contains(&issued.token), "{stored}");
    assert!(issued.token.len() >= 43, "256 bits");
}

#[tokio::test]
async fn an_account_has_tokens_for_64_clients() {
    let (verifier, storage, clock, key) = verifier().await;
    for i in 0..70 {
        clock.advance(Duration::from_secs(1));
        let mechanism = MechanismName::Token(Binding::None);
        verifier.issue_token(&user(), &format!("client {i}"), mechanism, &key, 0).await.unwrap();
    }
    let all = storage.documents().all(&user(), KIND).await.unwrap();
    assert_eq!(all.len(), 64);
    assert!(!all.iter().any(|(key, _)| key == "client 5"), "the oldest give way");
    assert!(all.iter().any(|(key, _)| key == "client 6"));
}

#[tokio::test]
async fn a_login_with_an_old_password_buys_no_token() {
    let (verifier, storage, _, key) = verifier().await;
    let mechanism = MechanismName::Token(Binding::None);
    let new = derive_keys("another password", ROUNDS).unwrap();
    assert!(storage.accounts().set_keys(&user(), &new).await.unwrap());
    assert!(verifier.issue_token(&user(), "desk", mechanism, &key, 0).await.unwrap().is_none());
    assert!(storage.accounts().remove(&user()).await.unwrap());
    assert!(verifier.issue_token(&user(), "desk", mechanism, &key, 0).await.unwrap().is_none());
    assert!(storage.documents().all(&user(), KIND).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_token_that_does_not_tell_its_password_is_shown() {
    let (verifier, storage, clock, key) = verifier().await;
    let mechanism = MechanismName::Token(Binding::None);
    for client in ["desk", "other"] {
        verifier.issue_token(&user(), client, mechanism, &key, 0).await.unwrap().unwrap();
    }
    // As they were stored before; and one of an earlier password.
    let stored = storage.documents().get(&user(), KIND, "desk").await.unwrap().unwrap();
    let (before, rest) = stored.split_once(",\"password\":\"").unwrap();
    let (print, after) = rest.split_once('"').unwrap();
    let older = format!("{before}{after}");
    storage.documents().put(&user(), KIND, "desk", &older).await.unwrap();
    let of_another = stored.replace(print, "another");
    storage.documents().put(&user(), KIND, "other", &of_another).await.unwrap();
    let shown = clients_with_tokens(&*storage, &user(), clock.now()).await.unwrap();
    assert_eq!(shown, [("desk".to_owned(), clock.now())]);
}
