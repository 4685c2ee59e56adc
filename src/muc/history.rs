//! The history that a newcomer is sent (XEP-0045 §7.2.13, §7.2.14). Older messages are in the archive.

use std::collections::VecDeque;
use std::sync::Arc;

use super::RoomLimits;
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::payload::datetime::Timestamp;
use crate::payload::delay;
use crate::stanza::{Message, Stanza};
use crate::xml::ElementRef;

/// The newest messages of a room.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    messages: VecDeque<Past>,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Past {
    at: Timestamp,
    /// The message, with its `<delay/>`.
    stanza: Arc<Stanza>,
    /// Its id in the archive of the room.
    id: Option<String>,
}

/// How much of it a newcomer wants.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Wanted {
    max_stanzas: Option<usize>,
    max_chars: Option<usize>,
    since: Option<Timestamp>,
}

impl Wanted {
    /// Reads the `<history/>` of a newcomer. What cannot be read does not count.
    pub(super) fn read(x: &ElementRef<'_>, now: Timestamp) -> Self {
        let Some(history) = x.child(ns::MUC, "history") else { return Self::default() };
        let number = |name| history.attr(name).and_then(|text| text.trim().parse::<u64>().ok());
        let seconds = number("seconds").map(|seconds| {
            let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
            Timestamp::from_micros(now.as_micros().saturating_sub(micros))
        });
        let since = history.attr("since").and_then(|text| Timestamp::parse(&text));
        let count = |name| number(name).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        Self {
            max_stanzas: count("maxstanzas"),
            max_chars: count("maxchars"),
            since: since.max(seconds),
        }
    }
}

impl History {
    /// Adds a message that was sent to all.
    pub(super) fn add(
        &mut self,
        room: &BareJid,
        message: &Message,
        at: Timestamp,
        id: Option<String>,
        limits: &RoomLimits,
    ) {
        let mut message = message.clone();
        message.content.add(&delay::delay(room, at));
        let stanza = Arc::new(Stanza::Message(message));
        self.bytes += stanza.size();
        self.messages.push_back(Past { at, stanza, id });
        while self.messages.len() > limits.history || self.bytes > limits.history_bytes {
            let Some(past) = self.messages.pop_front() else { break };
            self.bytes -= past.stanza.size();
        }
    }

    /// Forgets a message that was removed from the archive.
    pub(super) fn forget(&mut self, id: &str) {
        self.messages.retain(|past| past.id.as_deref() != Some(id));
        self.bytes = self.messages.iter().map(|past| past.stanza.size()).sum();
    }

    /// What a newcomer gets, oldest first: at most `max` messages, and none from before `since`.
    pub(super) fn of(
        &self,
        to: &Jid,
        wanted: Wanted,
        max: usize,
        since: Option<Timestamp>,
    ) -> Vec<Arc<Stanza>> {
        let max = wanted.max_stanzas.map_or(max, |wanted| wanted.min(max));
        let since = wanted.since.max(since);
        let mut chars = 0;
        let mut found = Vec::new();
        for past in self.messages.iter().rev().take(max) {
            // The count of characters is that of whole stanzas (§7.2.14).
            chars += past.stanza.size() + " to=''".len() + to.as_str().len();
            let is_over = wanted.max_chars.is_some_and(|most| chars > most);
            if is_over || since.is_some_and(|since| past.at < since) {
                break;
            }
            found.push(Arc::clone(&past.stanza));
        }
        found.reverse();
        found
    }
}
