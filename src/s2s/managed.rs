//! Stream management between servers (XEP-0198): its elements, and what is owed to the other server.

use std::time::Duration;

use smol_str::SmolStr;
use tokio::time::Instant;

use crate::ns;
use crate::stanza::Condition;
use crate::xml::{ElementRef, Node, element};

/// What the driver of a stream is to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// The other server asks for it. `true`: it also wants to ask later how much was handled, if the stream is cut.
    Enable(bool),
    /// The other server asks how much was handled on the stream with this id.
    Resume(SmolStr),
    /// Both sides count the stanzas that follow.
    Begin,
    /// The other server does not want it after all.
    Refused,
    /// The other server asks how many stanzas we have handled.
    Asked,
    /// The other server has handled this many stanzas.
    Handled(u32),
}

/// Reads an element of the other server. `None` if it is unknown.
pub(super) fn read(root: &ElementRef<'_>) -> Option<Word> {
    let text = |name: &str| root.attr(name).map(SmolStr::new);
    let number = |name: &str| root.attr(name).and_then(|h| h.parse().ok());
    let is_true = |name: &str| root.attr(name).is_some_and(|is| is == "true" || is == "1");
    Some(match root.name() {
        "enable" => Word::Enable(is_true("resume")),
        "enabled" => Word::Enabled(text("id").filter(|_| is_true("resume"))),
        "resume" => Word::Resume(text("previd").unwrap_or_default()),
        "resumed" => Word::Resumed(number("h")),
        "failed" => Word::Failed(number("h")),
        "r" => Word::Ask,
        "a" => Word::Handled(number("h")),
        _ => return None,
    })
}

/// An element of stream management (XEP-0198 §3 to §5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Word {
    /// `<enable/>`. Whether the stream is to be resumed.
    Enable(bool),
    /// `<enabled/>`. The id, if the stream can be resumed.
    Enabled(Option<SmolStr>),
    /// `<resume/>`, with the id of the stream before.
    Resume(SmolStr),
    /// `<resumed/>`. How much was handled on the stream before. `None`: its number is invalid.
    Resumed(Option<u32>),
    /// `<failed/>`. How much was handled on the stream before.
    Failed(Option<u32>),
    /// `<r/>`.
    Ask,
    /// `<a/>`. `None`: its number is invalid.
    Handled(Option<u32>),
}

/// The feature, which is offered after the login.
pub(super) fn feature() -> Node {
    element("sm").ns(ns::SM)
}

/// Asks for it, and for the right to ask later how much was handled if the stream is cut.
pub(super) fn enable() -> Node {
    element("enable").ns(ns::SM).attr("resume", "true")
}

/// Asks how much was handled on the stream with this id. `h`: what has come on it. All of it is carried.
pub(super) fn resume(id: &str, h: u32) -> Node {
    element("resume").ns(ns::SM).attr("h", h.to_string()).attr("previd", id)
}

/// Grants it to the other server. With an id it may ask later how much was handled (XEP-0198 §5). No stream is resumed:
/// what was not handled is sent on another one.
pub(super) fn enabled(id: Option<&SmolStr>) -> Node {
    let enabled = element("enabled").ns(ns::SM);
    match id {
        Some(id) => enabled.attr("id", id).attr("resume", "true"),
        None => enabled,
    }
}

/// Refuses it to the other server. `h`: how much was handled on the stream that it wants to resume (XEP-0198 §5).
pub(super) fn failed(condition: Condition, h: Option<u32>) -> Node {
    let failed = element("failed").ns(ns::SM).maybe_attr("h", h.map(|h| h.to_string()));
    failed.child(element(condition.as_str()).ns(ns::STANZA_ERRORS))
}

/// Asks how many stanzas were handled.
pub(super) fn ask() -> Node {
    element("r").ns(ns::SM)
}

/// Tells how many stanzas we have handled.
pub(super) fn handled(h: u32) -> Node {
    element("a").ns(ns::SM).attr("h", h.to_string())
}

/// Questions of the other server without an answer. The answer is given when all stanzas before the question are carried:
/// a stanza that the other server takes for handled must not be lost. But it is not withheld for long (XEP-0198 §4): as long
/// as some are not carried, it is how many are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Owed {
    /// How many stanzas had come at its first question without an answer, and at its last one.
    marks: Option<(u32, u32)>,
    /// When an answer is given in any case.
    due: Option<Instant>,
}

impl Owed {
    /// Notes that the other server has asked after this many stanzas.
    pub(super) fn ask(&mut self, entered: u32) {
        let first = self.marks.map_or(entered, |(first, _)| first);
        self.marks = Some((first, entered));
        self.due.get_or_insert_with(|| Instant::now() + PATIENCE);
    }

    /// When to look again, at the latest.
    pub(super) fn wakes_at(self) -> Option<Instant> {
        self.due
    }

    /// Whether an answer is still to be given.
    pub(super) fn is_any(self) -> bool {
        self.marks.is_some()
    }

    /// The answer that is due when this many stanzas are handled.
    pub(super) fn answer(&mut self, handled: u32) -> Option<u32> {
        let (first, last) = self.marks?;
        let has_come = has_reached(handled, first);
        if !has_come && self.due.is_none_or(|due| Instant::now() < due) {
            return None;
        }
        if has_come {
            self.marks = (!has_reached(handled, last)).then_some((last, last));
        }
        self.due = self.marks.map(|_| Instant::now() + PATIENCE);
        Some(handled)
    }
}

/// Whether a counter, which wraps at 2^32, has reached this mark.
fn has_reached(counter: u32, mark: u32) -> bool {
    counter.wrapping_sub(mark) < 1 << 31
}

/// How long an answer may wait for the stanzas before the question.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Frame, Limits, Scope};

    #[test]
    fn elements_are_read() {
        for (text, expected) in [
            ("enable", Some(Word::Enable(false))),
            ("enable resume='1'", Some(Word::Enable(true))),
            ("enabled id='x' resume='true'", Some(Word::Enabled(Some("x".into())))),
            ("enabled id='x'", Some(Word::Enabled(None))),
            ("resume previd='x' h='0'", Some(Word::Resume("x".into()))),
            ("resumed previd='x' h='3'", Some(Word::Resumed(Some(3)))),
            ("resumed previd='x'", Some(Word::Resumed(None))),
            ("failed h='3'", Some(Word::Failed(Some(3)))),
            ("failed", Some(Word::Failed(None))),
            ("r", Some(Word::Ask)),
            ("a h='7'", Some(Word::Handled(Some(7)))),
            ("a h='4294967295'", Some(Word::Handled(Some(u32::MAX)))),
            ("a h='4294967296'", Some(Word::Handled(None))),
            ("a h='-1'", Some(Word::Handled(None))),
            ("a", Some(Word::Handled(None))),
            ("b", None),
        ] {
            let text = format!("<{text} xmlns='{}'/>", ns::SM);
            let limits = Limits { bytes: 1000, depth: 9, attributes: 9, nodes: 9 };
            let frame = Frame::parse(text.clone().into(), &Scope::none(), &limits).unwrap();
            assert_eq!(read(&frame.root()), expected, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_is_withheld_for_long() {
        let mut owed = Owed::default();
        assert_eq!(owed.wakes_at(), None);
        owed.ask(5);
        assert_eq!(owed.wakes_at(), Some(Instant::now() + PATIENCE));
        tokio::time::advance(PATIENCE / 2).await;
        owed.ask(6);
        assert_eq!(owed.answer(3), None);
        tokio::time::advance(PATIENCE / 2).await;
        assert_eq!(owed.answer(3), Some(3));
        assert_eq!(owed.answer(4), None, "once in this time");
        tokio::time::advance(PATIENCE).await;
        assert_eq!(owed.answer(4), Some(4));
        assert_eq!(owed.answer(6), Some(6));
        assert!(!owed.is_any());
        assert_eq!(owed.wakes_at(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_is_answered_when_it_is_true() {
        let mut owed = Owed::default();
        assert_eq!(owed.answer(3), None, "nobody has asked");
        owed.ask(5);
        assert_eq!(owed.answer(4), None);
        assert_eq!(owed.answer(5), Some(5));
        assert!(!owed.is_any());
        // A peer that asks after every stanza still gets an answer.
        owed.ask(6);
        owed.ask(7);
        owed.ask(9);
        assert_eq!(owed.answer(6), Some(6));
        assert_eq!(owed.answer(8), None);
        assert_eq!(owed.answer(9), Some(9));
        // The counter begins anew.
        owed.ask(u32::MAX);
        assert_eq!(owed.answer(u32::MAX - 1), None);
        assert_eq!(owed.answer(1), Some(1));
    }
}
