//! Passwords as commands need them: made at random, and turned into keys off the async workers.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::auth::derive_keys;
use crate::host::command::CommandError;
use crate::storage::ScramKeys;

/// A password nobody can guess: 20 characters of an alphabet of 54, without those which look
/// alike (115 bits).
///
/// # Errors
/// [`CommandError::Failed`] if the machine has no random numbers.
pub fn random() -> Result<String, CommandError> {
    let mut password = String::with_capacity(LENGTH);
    while password.len() < LENGTH {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| CommandError::Failed(format!("no random numbers: {error}")))?;
        // A byte behind the last whole multiple would make some characters likelier.
        let fair = ALPHABET.len() * (256 / ALPHABET.len());
        let fair = bytes.iter().map(|b| usize::from(*b)).filter(|b| *b < fair);
        let characters = fair.map(|b| char::from(ALPHABET[b % ALPHABET.len()]));
        password.extend(characters.take(LENGTH - password.len()));
    }
    Ok(password)
}

/// The keys of one password. Takes milliseconds of a processor, on a thread for such work.
///
/// # Errors
/// [`CommandError::Invalid`] if it cannot be a password (RFC 4013).
pub async fn keys(password: &str, iterations: u32) -> Result<Vec<ScramKeys>, CommandError> {
    let password = password.to_owned();
    let keys = tokio::task::spawn_blocking(move || derive(&password, iterations)).await;
    keys.map_err(|error| CommandError::Failed(format!("deriving keys: {error}")))?
        .map_err(CommandError::Invalid)
}

/// The keys of many passwords, in their order, on all processors at once.
///
/// # Errors
/// [`CommandError::Failed`] if the threads could not do it. A text for each that cannot be a
/// password.
pub async fn keys_of_many(
    passwords: Vec<String>,
    iterations: u32,
) -> Result<Vec<Result<Vec<ScramKeys>, String>>, CommandError> {
    tokio::task::spawn_blocking(move || in_parallel(&passwords, iterations))
        .await
        .map_err(|error| CommandError::Failed(format!("deriving keys: {error}")))
}

fn in_parallel(passwords: &[String], iterations: u32) -> Vec<Result<Vec<ScramKeys>, String>> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(passwords.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(password) = passwords.get(i) else { return done };
            done.push((i, derive(password, iterations)));
        }
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined.flat_map(|done| done.expect("deriving keys does not panic")).collect()
    });
    done.sort_unstable_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, keys)| keys).collect()
}

fn derive(password: &str, iterations: u32) -> Result<Vec<ScramKeys>, String> {
    derive_keys(password, iterations).map_err(|error| error.to_string())
}

const LENGTH: usize = 20;

/// Without `0 O o 1 l I i L` in which people err.
const ALPHABET: &[u8; 54] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::{ALPHABET, LENGTH, in_parallel, random};

    #[test]
    fn random_passwords_are_long_and_differ() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_eq!(one.len(), LENGTH);
        assert!(one.bytes().all(|b| ALPHABET.contains(&b)), "{one}");
        assert_ne!(one, other);
    }

    #[test]
    fn the_keys_of_many_passwords_come_in_their_order() {
        let mut passwords: Vec<_> = (0..20).map(|i| format!("password {i}")).collect();
        passwords[7].clear();
        let keys = in_parallel(&passwords, 4096);
        assert_eq!(keys.len(), 20);
        let bad: Vec<_> = keys.iter().map(Result::is_err).collect();
        assert_eq!(bad.iter().position(|bad| *bad), Some(7));
        assert_eq!(bad.iter().filter(|bad| **bad).count(), 1);
    }
}
