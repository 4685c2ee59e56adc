//! Passwords that commands make.

use crate::host::command::CommandError;

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

const LENGTH: usize = 20;

/// Without `0 O o 1 l I i L` in which people err.
const ALPHABET: &[u8; 54] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::{ALPHABET, LENGTH, random};

    #[test]
    fn random_passwords_are_long_and_differ() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_eq!(one.len(), LENGTH);
        assert!(one.bytes().all(|b| ALPHABET.contains(&b)), "{one}");
        assert_ne!(one, other);
    }
}
