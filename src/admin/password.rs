//! Generates passwords for commands.

use crate::host::command::CommandError;

/// A password that nobody can guess: 20 characters from an alphabet of 54, which contains no characters that
/// look alike (115 bits).
///
/// # Errors
/// [`CommandError::Failed`] if the operating system provides no random numbers.
pub fn random() -> Result<String, CommandError> {
    let mut password = String::with_capacity(LENGTH);
    while password.len() < LENGTH {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| CommandError::Failed(format!("no random numbers: {error}")))?;
        // Bytes above the last whole multiple would make some characters more likely.
        let fair = ALPHABET.len() * (256 / ALPHABET.len());
        let fair = bytes.iter().map(|b| usize::from(*b)).filter(|b| *b < fair);
        let characters = fair.map(|b| char::from(ALPHABET[b % ALPHABET.len()]));
        password.extend(characters.take(LENGTH - password.len()));
    }
    Ok(password)
}

const LENGTH: usize = 20;

/// The letters and digits without `0 O o 1 l I i L`, which people confuse.
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
