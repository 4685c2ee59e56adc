//! Splits a text into words, for search (XEP-0431). Stored messages and searches are split the same way.

use bytes::Bytes;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::decompose_canonical;

use crate::stanza::stored_message_text;

/// The words of a search, 16 at most. More are ignored.
pub(super) fn search_words(text: &str) -> Vec<String> {
    tokenize(text, 16)
}

/// Whether a `<message/>` that is stored can be read, and has all of these words.
pub(super) fn has_words(xml: &Bytes, words: &[String]) -> bool {
    let Some(text) = stored_message_text(xml) else { return false };
    let found = tokenize(&text, 10_000);
    !words.is_empty() && words.iter().all(|word| found.contains(word))
}

/// The words of a text in lower case and without accents, `most` at most. A word is a run of letters and digits. In
/// scripts that have no spaces between words, each character is a word.
fn tokenize(text: &str, most: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut in_word = false;
    for c in text.nfkc().map(without_accents).flat_map(char::to_lowercase) {
        let alone = is_ideograph(c);
        if !c.is_alphanumeric() || alone {
            in_word = false;
        }
        if !c.is_alphanumeric() {
            continue;
        }
        if !in_word {
            if words.len() == most {
                break;
            }
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
        in_word = !alone;
    }
    words
}

/// The letter of the Latin or Greek script without its accents. In other scripts such marks make other letters.
fn without_accents(c: char) -> char {
    if !matches!(c, '\u{C0}'..='\u{24F}' | '\u{370}'..='\u{3FF}' | '\u{1E00}'..='\u{1FFF}') {
        return c;
    }
    let mut letter = None;
    decompose_canonical(c, |part| letter = letter.or(Some(part)));
    letter.unwrap_or(c)
}

/// Ideographs and kana (Unicode blocks from CJK Radicals on, without Hangul).
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{2E80}'..='\u{312F}' | '\u{31A0}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::{has_words, search_words, tokenize};

    #[test]
    fn a_text_falls_into_words() {
        assert_eq!(
            tokenize("Wherefore art THOU, Romeo?", 9),
            ["wherefore", "art", "thou", "romeo"]
        );
        assert_eq!(tokenize("one two three", 2), ["one", "two"]);
        assert_eq!(tokenize("\"a\" OR b* NEAR(c) - ^ \u{0}", 9), ["a", "or", "b", "near", "c"]);
        assert_eq!(tokenize("日本go語", 9), ["日", "本", "go", "語"]);
        assert_eq!(tokenize("Ünïcode Ελλάδα й が", 9), ["unicode", "ελλαδα", "й", "が"]);
        assert_eq!(tokenize(" !!! \u{1F600}", 9), Vec::<String>::new());
    }

    #[test]
    fn a_message_is_found_by_all_words() {
        let xml =
            "<message xmlns='jabber:client'><body>What&apos;s in a Name?</body></message>".into();
        for (text, is_found) in
            [("name", true), ("IN name", true), ("nam", false), ("name b", false), ("", false)]
        {
            assert_eq!(has_words(&xml, &search_words(text)), is_found, "{text}");
        }
    }
}
