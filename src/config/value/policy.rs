//! Values of the data policy (XEP-0504): several of some words, and times in hours.

use super::list::{array, each};
use super::text::OneOf;
use super::{Kind, Refusal, Value, quote, refuse, wrong_type};
use crate::config::units::parse_duration;

/// Several of some words, each at most once, or a single one.
pub(in crate::config) struct SomeOf<T: 'static>(
    pub(in crate::config) &'static [(&'static str, T, &'static str)],
);

impl<T: Copy + PartialEq> Kind<Vec<T>> for SomeOf<T> {
    fn describe(&self) -> String {
        format!("a list, with {}", OneOf(self.0).describe().replacen("one of", "some of", 1))
    }

    fn read(&self, value: &Value<'_>) -> Result<Vec<T>, Vec<Refusal>> {
        let words = each(value, |item| OneOf(self.0).read(item))?;
        let is_first = |(index, word): (usize, &T)| !words[..index].contains(word);
        if words.iter().enumerate().all(is_first) {
            return Ok(words);
        }
        refuse(value, "has a word twice", "remove one of them".to_owned())
    }

    fn write(&self, value: &Vec<T>) -> Option<String> {
        let word =
            |meaning: &T| self.0.iter().find(|(_, of, _)| of == meaning).map(|(word, ..)| *word);
        Some(array(&value.iter().filter_map(word).collect::<Vec<_>>()))
    }
}

/// A duration in whole hours, or one of some words, each with what is told instead. It is optional; its value
/// is the text that is told.
pub(in crate::config) struct Hours(pub(in crate::config) &'static [(&'static str, &'static str)]);

impl Kind<Option<String>> for Hours {
    fn describe(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(word, _)| format!("`\"{word}\"`")).collect();
        format!("a duration with its unit, which is told in hours, or {}", words.join(" or "))
    }

    fn read(&self, value: &Value<'_>) -> Result<Option<String>, Vec<Refusal>> {
        let Some(text) = value.get_ref().as_str() else {
            return wrong_type(value, "a duration", "write for example \"24 h\"");
        };
        if let Some((_, told)) = self.0.iter().find(|(word, _)| *word == text) {
            return Ok(Some((*told).to_owned()));
        }
        let duration =
            parse_duration(text).or_else(|help| refuse(value, "is not a duration", help))?;
        Ok(Some(duration.as_secs().div_ceil(3600).to_string()))
    }

    fn write(&self, value: &Option<String>) -> Option<String> {
        let word =
            |told: &str| self.0.iter().find(|(_, of)| *of == told).map(|(word, _)| quote(word));
        value.as_deref().map(|told| word(told).unwrap_or_else(|| quote(&format!("{told} h"))))
    }

    fn example(&self) -> Option<&'static str> {
        Some("\"24 h\"")
    }
}
