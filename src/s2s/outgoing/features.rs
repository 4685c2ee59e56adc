//! The features of another server, for people.

use crate::xml::ElementRef;

/// Each feature by its name, and what it says in parentheses. It comes from a stranger: it is short, and has no control
/// characters.
pub(super) fn in_words(features: &ElementRef<'_>) -> Vec<String> {
    features.children().take(MOST).map(|feature| of(&feature)).collect()
}

fn of(feature: &ElementRef<'_>) -> String {
    let detail = |child: ElementRef<'_>| match (child.name(), child.text().trim()) {
        ("mechanism", text) => short(text),
        (name, "") => short(name),
        (name, text) => format!("{} {}", short(name), short(text)),
    };
    let details: Vec<_> = feature.children().take(MOST).map(detail).collect();
    match details.as_slice() {
        [] => short(feature.name()),
        details => format!("{} ({})", short(feature.name()), details.join(", ")),
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

/// Features, and details of one.
const MOST: usize = 32;
/// Characters of a name or a text.
const LONGEST: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Frame, Limits, Scope};

    #[test]
    fn features_are_told_in_words() {
        let text = "<features xmlns='urn:x'><mechanisms><mechanism>EXTERNAL</mechanism>\
                    <mechanism>X\u{85}Y</mechanism></mechanisms><bidi/><dialback><errors/></dialback>\
                    <limits><max-bytes>20000</max-bytes></limits></features>";
        let limits = Limits { bytes: 1000, depth: 9, attributes: 9, nodes: 99 };
        let frame = Frame::parse(text.to_owned().into(), &Scope::none(), &limits).unwrap();
        let expected =
            ["mechanisms (EXTERNAL, XY)", "bidi", "dialback (errors)", "limits (max-bytes 20000)"];
        assert_eq!(in_words(&frame.root()), expected);
    }
}
