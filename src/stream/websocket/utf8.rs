//! Text that comes in pieces, which may be cut within a character (RFC 6455 §8.1).

use std::str::from_utf8;

/// Checks that a text is UTF-8 (RFC 3629). A fault is reported at the first byte that shows it.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    /// The first bytes of a character that is not whole.
    begun: [u8; 4],
    known: usize,
}

impl Utf8 {
    /// Takes more of the text. `false` if the text is not UTF-8.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> bool {
        while self.known > 0 {
            let Some((next, rest)) = bytes.split_first() else { return true };
            self.begun[self.known] = *next;
            self.known += 1;
            bytes = rest;
            match from_utf8(&self.begun[..self.known]) {
                Ok(_) => self.known = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        match from_utf8(bytes) {
            Ok(_) => true,
            Err(error) if error.error_len().is_some() => false,
            Err(error) => {
                let begun = &bytes[error.valid_up_to()..];
                self.begun[..begun.len()].copy_from_slice(begun);
                self.known = begun.len();
                true
            }
        }
    }

    /// Ends the text: another one begins. `false` if it ends within a character.
    pub(super) fn end(&mut self) -> bool {
        std::mem::take(&mut self.known) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::Utf8;

    fn is_text(bytes: &[u8], at_once: usize) -> bool {
        let mut text = Utf8::default();
        bytes.chunks(at_once).all(|part| text.take(part)) && text.end()
    }

    #[test]
    fn text_is_text_however_it_is_cut() {
        let table: &[(&[u8], bool)] = &[
            (b"", true),
            ("plain, été, 名前, 😀\0".as_bytes(), true),
            (b"\xff", false),
            (b"\x80", false),
            (b"\xc0\xaf", false),
            (b"\xe0\x80\xaf", false),
            (b"\xed\xa0\x80", false),
            (b"\xf4\x90\x80\x80", false),
            (b"a\xf0\x9f\x98", false),
            (b"\xf0\x9f\x98a", false),
        ];
        for (bytes, wanted) in table {
            for at_once in 1..6 {
                assert_eq!(is_text(bytes, at_once), *wanted, "{bytes:x?} {at_once}");
            }
        }
    }

    #[test]
    fn a_fault_shows_before_the_end() {
        let mut text = Utf8::default();
        assert!(text.take(b"a\xed") && !text.take(b"\xa0"));
        let mut text = Utf8::default();
        assert!(text.take(b"\xe2\x82") && !text.end() && text.take(b"a") && text.end());
    }
}
