//! Upgrades (XEP-0480): which an account needs, and what becomes of its keys.

use super::super::{PasswordKey, UPGRADES, Upgrade};
use super::*;
use crate::storage::MemoryStorage;

async fn verifier(hashes: &[ScramHash]) -> (Arc<Verifier>, Arc<dyn Storage>, PasswordKey) {
    let storage: Arc<dyn Storage> = MemoryStorage::new();
    let clock = Clock::manual(Timestamp::from_micros(5));
    let mut keys = derive_keys(PASSWORD, ROUNDS).unwrap();
    keys.retain(|keys| hashes.contains(&keys.hash));
    let proven = PasswordKey { hash: keys[0].hash, stored_key: keys[0].stored_key.clone() };
    let new = NewAccount { user: juliet(), keys, admin: false, created: clock.now() };
    storage.accounts().create(&[new]).await.unwrap();
    let derivations = Derivations::new(&config());
    let verifier =
        Verifier::new(Arc::clone(&storage), &config(), derivations, clock).await.unwrap();
    (Arc::new(verifier), storage, proven)
}

fn salted(upgrade: &Upgrade) -> Vec<u8> {
    salted_password(upgrade.hash, PASSWORD, &upgrade.salt, upgrade.iterations)
}

#[tokio::test]
async fn an_account_needs_what_it_lacks_and_what_is_stronger_than_the_login() {
    use ScramHash::{Sha1, Sha256, Sha512};
    for (has, wanted, needed) in [
        (&[Sha1][..], &UPGRADES[..], &[Sha256, Sha512][..]),
        (&[Sha1], &[Sha512], &[Sha512]),
        (&[Sha1, Sha256], &UPGRADES, &[Sha512]),
        (&[Sha1, Sha256, Sha512], &UPGRADES, &[]),
        (&[Sha256], &UPGRADES, &[Sha512]),
        (&[Sha512], &UPGRADES, &[]),
        (&[Sha1], &[], &[]),
    ] {
        let (verifier, _, proven) = verifier(has).await;
        let found = verifier.needed_upgrades(&juliet(), &proven, wanted).await.unwrap();
        let hashes: Vec<_> = found.iter().map(|upgrade| upgrade.hash).collect();
        assert_eq!(hashes, needed, "{has:?} {wanted:?}");
        assert!(found.iter().all(|upgrade| upgrade.iterations == ROUNDS));
    }
}

#[tokio::test]
async fn after_an_upgrade_a_client_logs_in_with_the_stronger_hash() {
    let (verifier, ..) = verifier(&[ScramHash::Sha1]).await;
    let offer = Offer::new(&config(), Some(&tls13()));
    let login = async || {
        let mut exchange =
            Exchange::begin(&verifier, "example.com", &offer, "SCRAM-SHA-512", None).unwrap();
        let server_first = challenge(exchange.step(Some(b"n,,n=juliet,r=x")).await);
        let client = Client {
            hash: ScramHash::Sha512,
            password: PASSWORD,
            first_bare: "n=juliet,r=x",
            server_first: &server_first,
        };
        exchange.step(Some(client.last(b"n,,").as_bytes())).await
    };
    assert_eq!(login().await.unwrap_err(), SaslError::NotAuthorized);
    let keys = verifier.keys(&juliet(), ScramHash::Sha1).await.unwrap().0;
    let proven = PasswordKey { hash: keys.hash, stored_key: keys.stored_key };
    let needed = verifier.needed_upgrades(&juliet(), &proven, &[ScramHash::Sha512]).await.unwrap();
    verifier.upgrade(&juliet(), &proven, &needed[0], &salted(&needed[0])).await.unwrap();
    assert!(matches!(login().await, Ok(Step::Success { .. })));
}

#[tokio::test]
async fn keys_are_added_once_and_for_the_password_that_was_proven() {
    let (verifier, storage, proven) = verifier(&[ScramHash::Sha1]).await;
    let needed = verifier.needed_upgrades(&juliet(), &proven, &[ScramHash::Sha256]).await.unwrap();
    let upgrade = &needed[0];
    for wrong in [&[][..], &[1; 20], &[1; 33]] {
        let refused = verifier.upgrade(&juliet(), &proven, upgrade, wrong).await;
        assert_eq!(refused, Err(SaslError::MalformedRequest));
    }
    assert_eq!(storage.accounts().keys(&juliet(), ScramHash::Sha256).await.unwrap(), None);
    verifier.upgrade(&juliet(), &proven, upgrade, &salted(upgrade)).await.unwrap();
    let first = storage.accounts().keys(&juliet(), ScramHash::Sha256).await.unwrap().unwrap();
    // A second client that was asked at the same time changes nothing.
    verifier.upgrade(&juliet(), &proven, upgrade, &[7; 32]).await.unwrap();
    assert_eq!(storage.accounts().keys(&juliet(), ScramHash::Sha256).await.unwrap(), Some(first));
    // The password has changed since the login.
    let mut new = derive_keys("another password", ROUNDS).unwrap();
    new.retain(|keys| keys.hash == ScramHash::Sha1);
    assert!(storage.accounts().set_keys(&juliet(), &new).await.unwrap());
    let late = verifier.upgrade(&juliet(), &proven, upgrade, &salted(upgrade)).await;
    assert_eq!(late, Err(SaslError::NotAuthorized));
    assert_eq!(storage.accounts().keys(&juliet(), ScramHash::Sha256).await.unwrap(), None);
}
