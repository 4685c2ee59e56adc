//! Tokens for the HTTP API: what may be done with one, and how one is made. All who make them use this: the commands of
//! the administrator, and those of users.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::command::CommandError;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::random::random_id;
use crate::storage::{API_TOKENS, ApiToken, ApiTokenHash, Storage, StorageError};

/// What may be done with a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// Read the archive, and follow it.
    Read,
    /// Send messages.
    Send,
}

impl Scope {
    /// All.
    pub const ALL: [Self; 2] = [Self::Read, Self::Send];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
        }
    }

    /// One line for people.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Read => "read the archive, and follow new messages",
            Self::Send => "send messages",
        }
    }

    /// Whether a token has it.
    #[must_use]
    pub fn is_in(self, token: &ApiToken) -> bool {
        token.scopes.split(' ').any(|word| word == self.word())
    }
}

/// A token that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewApiToken<'a> {
    /// What its owner calls it.
    pub name: &'a str,
    /// Words of [`Scope`], separated by spaces or commas.
    pub scopes: &'a str,
    /// For how many days it is valid. `None`: until it is revoked.
    pub days: Option<u64>,
}

/// Makes a token. Returns it with its secret, which nobody can find out later. `limit`: how many the account may have.
///
/// # Errors
/// If there is no such account, a value is invalid, or the account has too many.
pub async fn create_api_token(
    storage: &dyn Storage,
    owner: &BareJid,
    new: NewApiToken<'_>,
    limit: u64,
    now: Timestamp,
) -> Result<(String, ApiToken), CommandError> {
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
        return Err(CommandError::Invalid(format!(
            "a name has 1 to {NAME} characters in one line"
        )));
    }
    let mut scopes = Vec::new();
    for word in new.scopes.split([' ', ',']).filter(|word| !word.is_empty()) {
        let scope = Scope::ALL.into_iter().find(|scope| scope.word() == word);
        let words = || Scope::ALL.map(Scope::word).join(", ");
        let scope = scope.ok_or_else(|| {
            CommandError::Invalid(format!("`{word}` is no scope; the scopes are {}", words()))
        })?;
        if !scopes.contains(&scope.word()) {
            scopes.push(scope.word());
        }
    }
    if scopes.is_empty() {
        return Err(CommandError::Invalid("a token without a scope is of no use".to_owned()));
    }
    if new.days.is_some_and(|days| !(1..=MOST_DAYS).contains(&days)) {
        return Err(CommandError::Invalid(format!("a token is valid for 1 to {MOST_DAYS} days")));
    }
    let expires = new.days.map(|days| {
        let micros = Duration::from_secs(days * 86_400).as_micros();
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        Timestamp::from_micros(now.as_micros().saturating_add(micros))
    });
    let token = ApiToken {
        id: random_id().into(),
        name: name.to_owned(),
        scopes: scopes.join(" "),
        created: now,
        expires,
        last_used: None,
    };
    // 256 random bits.
    let secret = format!("{PREFIX}{}{}", random_id(), random_id());
    let hash = api_token_hash(&secret);
    match storage.api_tokens().add_api_token(owner, hash, &token, limit).await {
        Ok(true) => Ok((secret, token)),
        Ok(false) => Err(CommandError::NotFound(format!("account {owner} does not exist"))),
        Err(StorageError::Limit(API_TOKENS)) => Err(CommandError::Conflict(format!(
            "{owner} has {limit} tokens already (api.tokens): revoke one first"
        ))),
        Err(error) => Err(error.into()),
    }
}

/// What is stored of a secret.
#[must_use]
pub fn api_token_hash(secret: &str) -> ApiTokenHash {
    Sha256::digest(secret.as_bytes()).into()
}

/// Every secret begins with this, so that programs recognise one that was published by mistake.
const PREFIX: &str = "waxwing_";
/// Characters of a name.
const NAME: usize = 64;
/// A hundred years.
const MOST_DAYS: u64 = 36_500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{MemoryStorage, NewAccount};

    #[tokio::test]
    async fn a_token_is_made_of_what_is_valid() {
        let storage = MemoryStorage::new();
        let romeo = BareJid::parse("romeo@localhost").unwrap();
        let now = Timestamp::from_micros(5);
        let account = NewAccount { user: romeo.clone(), keys: vec![], created: now, admin: false };
        storage.accounts().create(&[account]).await.unwrap();
        let make = async |name: &str, scopes: &str, days| {
            let new = NewApiToken { name, scopes, days };
            let made = create_api_token(&*storage, &romeo, new, 2, now).await;
            made.map_err(|error| error.to_string())
        };
        let long = "x".repeat(65);
        for (name, scopes, days, problem) in [
            (" ", "read", None, "a name has"),
            (&long, "read", None, "a name has"),
            ("a\nb", "read", None, "a name has"),
            ("a", "", None, "of no use"),
            ("a", "read write", None, "`write` is no scope; the scopes are read, send"),
            ("a", "read", Some(0), "1 to 36500 days"),
            ("a", "read", Some(u64::MAX), "1 to 36500 days"),
        ] {
            let refused = make(name, scopes, days).await.unwrap_err();
            assert!(refused.contains(problem), "{refused}");
        }
        let (secret, token) = make(" the bot ", "send,read, send", Some(1)).await.unwrap();
        assert_eq!((token.name.as_str(), token.scopes.as_str()), ("the bot", "send read"));
        assert_eq!(token.expires.unwrap().as_micros(), 86_400_000_005);
        assert!(secret.starts_with("waxwing_") && secret.len() == 52, "{secret}");
        assert!(Scope::ALL.iter().all(|scope| scope.is_in(&token)));
        let found = storage.api_tokens().find_api_token(api_token_hash(&secret)).await.unwrap();
        assert_eq!(found, Some((romeo.clone(), token)));
        make("b", "read", None).await.unwrap();
        assert!(make("c", "read", None).await.unwrap_err().contains("api.tokens"));
    }
}
