//! What every backend must do with hashes of capabilities.

use std::sync::Arc;

use smol_str::SmolStr;
use waxwing::storage::{MAX_CAPABILITIES_OF_OWNER, Storage};

use super::cases::{make, user};

fn nodes(texts: &[&str]) -> Vec<SmolStr> {
    texts.iter().map(SmolStr::new).collect()
}

async fn remember(s: &Arc<dyn Storage>, who: &str, hash: &str, texts: &[&str]) {
    s.capabilities().remember(&user(who), hash, &nodes(texts)).await.unwrap();
}

async fn interests(s: &Arc<dyn Storage>, hash: &str) -> Option<Vec<SmolStr>> {
    s.capabilities().interests(hash).await.unwrap()
}

pub(crate) async fn what_a_hash_stands_for_stays_as_it_is(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost", "juliet@localhost"]).await;
    assert_eq!(interests(&s, "1 sha-1 x").await, None);
    let odd = ["a", "b\n\"c\"", "ψ"];
    remember(&s, "romeo@localhost", "1 sha-1 x", &odd).await;
    remember(&s, "juliet@localhost", "1 sha-1 y", &[]).await;
    assert_eq!(interests(&s, "1 sha-1 x").await, Some(nodes(&odd)));
    assert_eq!(interests(&s, "1 sha-1 y").await, Some(Vec::new()));
    remember(&s, "juliet@localhost", "1 sha-1 x", &["z"]).await;
    assert_eq!(interests(&s, "1 sha-1 x").await, Some(nodes(&odd)));
    // It goes with the account that has told it first, and can be told anew.
    s.accounts().remove(&user("romeo@localhost")).await.unwrap();
    assert_eq!(interests(&s, "1 sha-1 x").await, None);
    assert_eq!(interests(&s, "1 sha-1 y").await, Some(Vec::new()));
    remember(&s, "juliet@localhost", "1 sha-1 x", &["z"]).await;
    assert_eq!(interests(&s, "1 sha-1 x").await, Some(nodes(&["z"])));
}

pub(crate) async fn the_hashes_of_an_account_are_bounded(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost", "juliet@localhost"]).await;
    remember(&s, "juliet@localhost", "of juliet", &["a"]).await;
    for n in 0..MAX_CAPABILITIES_OF_OWNER + 3 {
        remember(&s, "romeo@localhost", &format!("of romeo {n}"), &["b"]).await;
        // What is there already counts once.
        remember(&s, "romeo@localhost", "of juliet", &["b"]).await;
    }
    for n in 0..MAX_CAPABILITIES_OF_OWNER + 3 {
        assert_eq!(interests(&s, &format!("of romeo {n}")).await.is_some(), n >= 3, "{n}");
    }
    assert_eq!(interests(&s, "of juliet").await, Some(nodes(&["a"])));
}
