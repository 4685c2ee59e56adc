//! How long messages stay in an archive: as configured, or as set for one account.

use std::time::Duration;

use crate::payload::datetime::Timestamp;
use crate::storage::Retention;
use crate::xml::{ElementRef, Node, element};

/// How long messages stay. `None`: for ever.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// Older messages are deleted.
    pub age: Option<Duration>,
    /// At most so many messages stay, the newest ones.
    pub messages: Option<u64>,
}

impl Limits {
    /// Reads the values as people write them, with 0 for "for ever".
    #[must_use]
    pub fn new(age: Duration, messages: u64) -> Self {
        Self {
            age: Some(age).filter(|age| !age.is_zero()),
            messages: Some(messages).filter(|m| *m > 0),
        }
    }

    /// Reads a `<retention/>`; `None` if it is not a valid one.
    #[must_use]
    pub fn read(retention: &ElementRef<'_>) -> Option<Self> {
        let number = |name| retention.attr(name)?.parse().ok();
        (retention.name() == "retention").then_some(()).and_then(|()| {
            Some(Self::new(Duration::from_secs(number("age")?), number("messages")?))
        })
    }

    /// The `<retention/>` as it is stored: seconds, and messages.
    pub fn to_node(&self) -> Node {
        element("retention")
            .attr("age", self.age.unwrap_or_default().as_secs().to_string())
            .attr("messages", self.messages.unwrap_or_default().to_string())
    }

    /// What must be deleted at this time.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Retention {
        let before = self.age.map(|age| {
            let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
            Timestamp::from_micros(now.as_micros().saturating_sub(age))
        });
        Retention { before, keep: self.messages }
    }

    /// Messages stay for ever.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Frame;

    fn read(xml: impl Into<Vec<u8>>) -> Option<Limits> {
        Limits::read(&Frame::from_bytes(xml.into()).unwrap().root())
    }

    #[test]
    fn what_is_written_is_read() {
        let day = Duration::from_secs(24 * 3600);
        for limits in [Limits::default(), Limits::new(day, 0), Limits::new(day, u64::MAX)] {
            assert_eq!(read(limits.to_node().to_bytes()), Some(limits));
        }
        for wrong in ["<retention age='x' messages='1'/>", "<retention/>", "<other age='1'/>"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nothing_is_too_old_without_a_limit() {
        let now = Timestamp::from_micros(5_000_000);
        assert!(Limits::new(Duration::ZERO, 0).is_none());
        assert_eq!(Limits::default().at(now), Retention::default());
        let limits = Limits::new(Duration::from_secs(2), 7);
        let before = Some(Timestamp::from_micros(3_000_000));
        assert_eq!(limits.at(now), Retention { before, keep: Some(7) });
        let for_ages = Limits::new(Duration::MAX, 0).at(now).before;
        assert!(for_ages < Some(Timestamp::from_micros(0)));
    }
}
