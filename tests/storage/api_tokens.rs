//! Tokens for the HTTP API.

use std::sync::Arc;

use waxwing::storage::{API_TOKENS, ApiToken, Storage, StorageError};

use crate::cases::{at, make, user};

/// A token that was made at a time.
pub(crate) fn token(id: &str, created: i64, expires: Option<i64>) -> ApiToken {
    ApiToken {
        id: id.into(),
        name: format!("the bot {id}"),
        scopes: "read send".into(),
        created: at(created),
        expires: expires.map(at),
        last_used: None,
    }
}

pub(crate) async fn a_token_is_found_by_its_hash(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost", "juliet@localhost"]).await;
    let (romeo, juliet) = (user("romeo@localhost"), user("juliet@localhost"));
    let tokens = s.api_tokens();
    let (b, a) = (token("b", 1, None), token("a", 2, Some(900)));
    assert!(tokens.add_api_token(&romeo, [1; 32], &a, 9).await.unwrap());
    assert!(tokens.add_api_token(&romeo, [2; 32], &b, 9).await.unwrap());
    // Another account may have one with the same id.
    assert!(tokens.add_api_token(&juliet, [3; 32], &token("a", 3, None), 9).await.unwrap());
    assert_eq!(tokens.api_tokens(&romeo).await.unwrap(), [b, a.clone()]);
    let found = tokens.find_api_token([1; 32]).await.unwrap();
    assert_eq!(found, Some((romeo.clone(), a.clone())));
    assert_eq!(tokens.find_api_token([9; 32]).await.unwrap(), None);
    tokens.note_api_token([1; 32], at(7)).await.unwrap();
    tokens.note_api_token([9; 32], at(7)).await.unwrap();
    let used = ApiToken { last_used: Some(at(7)), ..a };
    assert_eq!(tokens.find_api_token([1; 32]).await.unwrap(), Some((romeo.clone(), used)));
    assert!(tokens.remove_api_token(&romeo, "a").await.unwrap());
    assert!(!tokens.remove_api_token(&romeo, "a").await.unwrap());
    assert_eq!(tokens.find_api_token([1; 32]).await.unwrap(), None);
    assert!(tokens.find_api_token([3; 32]).await.unwrap().is_some());
}

pub(crate) async fn an_account_has_so_many_tokens_and_those_that_are_over_do_not_count(
    s: Arc<dyn Storage>,
) {
    make(&s, &["romeo@localhost"]).await;
    let romeo = user("romeo@localhost");
    let tokens = s.api_tokens();
    for (n, token) in [token("a", 1, Some(50)), token("b", 1, None)].iter().enumerate() {
        assert!(tokens.add_api_token(&romeo, [n as u8; 32], token, 2).await.unwrap());
    }
    let refused = tokens.add_api_token(&romeo, [8; 32], &token("c", 49, None), 2).await;
    assert!(matches!(refused, Err(StorageError::Limit(API_TOKENS))), "{refused:?}");
    assert!(tokens.add_api_token(&romeo, [8; 32], &token("c", 50, None), 2).await.unwrap());
    let left = tokens.api_tokens(&romeo).await.unwrap();
    assert_eq!(left.iter().map(|token| token.id.as_str()).collect::<Vec<_>>(), ["b", "c"]);
}

pub(crate) async fn nobody_has_no_tokens(s: Arc<dyn Storage>) {
    let nobody = user("nobody@localhost");
    let tokens = s.api_tokens();
    assert!(!tokens.add_api_token(&nobody, [1; 32], &token("a", 1, None), 9).await.unwrap());
    // Something is stored, but there is no account.
    s.documents().put(&nobody, "k", "", "<x/>").await.unwrap();
    assert!(!tokens.add_api_token(&nobody, [1; 32], &token("a", 1, None), 9).await.unwrap());
    assert_eq!(tokens.api_tokens(&nobody).await.unwrap(), []);
    assert!(!tokens.remove_api_token(&nobody, "a").await.unwrap());
}

pub(crate) async fn tokens_go_with_their_account(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost"]).await;
    let romeo = user("romeo@localhost");
    assert!(s.api_tokens().add_api_token(&romeo, [1; 32], &token("a", 1, None), 9).await.unwrap());
    s.accounts().remove(&romeo).await.unwrap();
    assert_eq!(s.api_tokens().find_api_token([1; 32]).await.unwrap(), None);
    make(&s, &["romeo@localhost"]).await;
    assert_eq!(s.api_tokens().api_tokens(&romeo).await.unwrap(), []);
}
