//! The key from which the tokens of clients follow: a file beside the database, so that a copy of the
//! database is worth nothing to a thief.

use std::fs;
use std::io;
use std::path::Path;

use crate::files;
use crate::random::random_id;

/// Reads the key from `token.key` in this directory. Makes the file if there is none: then clients must log
/// in with their passwords once.
///
/// # Errors
/// Of the file system; or the file is not what this function writes.
pub fn token_key(directory: &Path) -> io::Result<[u8; 32]> {
    let path = directory.join("token.key");
    if !path.exists() {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        files::make_directory(directory)?;
        // Nobody sees half of a file, and a file of another process stays.
        let whole = directory.join(format!("token.key.{}", random_id()));
        files::write_whole(&whole, text.as_bytes(), 0o600)?;
        let linked = fs::hard_link(&whole, &path);
        fs::remove_file(&whole)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    let damaged =
        || io::Error::new(io::ErrorKind::InvalidData, "64 hexadecimal digits are expected");
    let text = fs::read_to_string(&path)?;
    let digits = text.trim();
    if digits.len() != 64 || !digits.is_ascii() {
        return Err(damaged());
    }
    let mut key = [0; 32];
    for (i, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).map_err(|_| damaged())?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_reads_it() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("data");
        let key = token_key(&directory).unwrap();
        assert_eq!(token_key(&directory).unwrap(), key);
        let file = directory.join("token.key");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        for damaged in
            ["", "00", "no hexadecimal digits, but as many characters as there should be"]
        {
            fs::write(&file, damaged).unwrap();
            assert_eq!(token_key(&directory).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
