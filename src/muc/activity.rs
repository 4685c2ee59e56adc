//! The activity of a room (XEP-0502): messages in an hour, while the room was in memory.

use crate::ns;
use crate::payload::datetime::Timestamp;
use crate::stanza::Message;

/// Counts the messages of the newest hours.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity {
    /// The hour in which counting began, since 1970.
    began: Option<i64>,
    /// The hour to which the first counter belongs.
    newest: i64,
    /// Messages of the newest hour, and of those before it.
    counters: [u32; HOURS + 1],
}

impl Activity {
    /// Counts a message that was sent to all. One without a body does not count, nor does a correction (XEP-0502 §4).
    pub(super) fn note(&mut self, message: &Message, at: Timestamp) {
        let content = &message.content;
        let counts = content.has_received_child(ns::CLIENT, "body")
            && !content.has_received_child(CORRECTION, "replace");
        if !counts {
            return;
        }
        let now = hour(at);
        self.began.get_or_insert(now);
        self.shift_to(now);
        self.counters[0] = self.counters[0].saturating_add(1);
    }

    /// Messages in an hour: those of the last day, or since counting began; `None` before the first message. The hour
    /// that has not ended counts only if there is no other: a room that has just begun is told at once (XEP-0502 §3.1).
    pub(super) fn per_hour(&self, now: Timestamp) -> Option<f64> {
        let mut this = self.clone();
        this.shift_to(hour(now));
        let hours = (hour(now) - self.began?).clamp(0, HOURS as i64);
        if hours == 0 {
            return Some(f64::from(this.counters[0]));
        }
        let sum: u64 = this.counters[1..].iter().map(|count| u64::from(*count)).sum();
        Some(sum as f64 / hours as f64)
    }

    /// Removes counters that are too old now. A clock that was set back changes nothing.
    fn shift_to(&mut self, now: i64) {
        let passed = usize::try_from(now - self.newest).unwrap_or(0).min(self.counters.len());
        let places = passed % self.counters.len();
        self.counters.rotate_right(places);
        self.counters[..passed].fill(0);
        self.newest = self.newest.max(now);
    }
}

fn hour(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(3_600_000_000)
}

/// How many whole hours are counted.
const HOURS: usize = 24;
/// XEP-0308 §3.
const CORRECTION: &str = "urn:xmpp:message-correct:0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::Stanza;
    use crate::xml::Frame;

    fn message(children: &str) -> Message {
        let xml = format!("<message xmlns='jabber:client' type='groupchat'>{children}</message>");
        match Stanza::read(Frame::from_bytes(xml).unwrap()) {
            Ok(Stanza::Message(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_micros((500_000 + hours) * 3_600_000_000)
    }

    #[test]
    fn messages_with_a_text_are_counted_for_a_day() {
        let mut activity = Activity::default();
        assert_eq!(activity.per_hour(at(0)), None);
        for _ in 0..6 {
            activity.note(&message("<body>Hail!</body>"), at(0));
        }
        activity.note(&message("<subject>Spells</subject>"), at(0));
        let correction = "<body>Hail</body><replace xmlns='urn:xmpp:message-correct:0' id='a'/>";
        activity.note(&message(correction), at(0));
        assert_eq!(activity.per_hour(at(0)), Some(6.0));
        assert_eq!(activity.per_hour(at(1)), Some(6.0));
        assert_eq!(activity.per_hour(at(3)), Some(2.0));
        activity.note(&message("<body>Hail!</body>"), at(3));
        assert_eq!(activity.per_hour(at(3)), Some(2.0));
        assert_eq!(activity.per_hour(at(4)), Some(1.75));
        assert_eq!(activity.per_hour(at(24)), Some(7.0 / 24.0));
        assert_eq!(activity.per_hour(at(26)), Some(1.0 / 24.0));
        assert_eq!(activity.per_hour(at(1000)), Some(0.0));
    }
}
