//! Splits a text into words, for search (XEP-0431). Stored messages and searches are split the same way.

use unicode_normalization::UnicodeNormalization;

/// The words of a text in lower case, `most` at most. A word is a run of letters and digits. In scripts
/// that have no spaces between words, each character is a word.
pub(super) fn tokenize(text: &str, most: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut in_word = false;
    for c in text.nfkc().flat_map(char::to_lowercase) {
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

/// Ideographs and kana (Unicode blocks from CJK Radicals on, without Hangul).
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{2E80}'..='\u{312F}' | '\u{31A0}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::tokenize;

    #[test]
    fn a_text_falls_into_words() {
        assert_eq!(
            tokenize("Wherefore art THOU, Romeo?", 9),
            ["wherefore", "art", "thou", "romeo"]
        );
        assert_eq!(tokenize("one two three", 2), ["one", "two"]);
        assert_eq!(tokenize("\"a\" OR b* NEAR(c) - ^ \u{0}", 9), ["a", "or", "b", "near", "c"]);
        assert_eq!(tokenize("日本go語", 9), ["日", "本", "go", "語"]);
        assert_eq!(tokenize(" !!! \u{1F600}", 9), Vec::<String>::new());
    }
}
