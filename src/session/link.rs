//! What the two loops of a session share: stream management (XEP-0198), and what is due to be
//! written beside the stanzas. It moves with the session from connection to connection.

use std::collections::VecDeque;
use std::time::Duration;

use smol_str::SmolStr;

use super::Delivery;
use super::stream_management::{TooHigh, Unacknowledged};

/// Stream management of a session, as long as it is enabled.
#[derive(Debug, Default)]
pub struct Link {
    /// Boxed: most of the clients that use it are on mobile networks, others hold no room for it.
    managed: Option<Box<Managed>>,
}

#[derive(Debug)]
struct Managed {
    /// Under which the session can be resumed, and for how long.
    resumable: Option<(SmolStr, Duration)>,
    /// Stanzas of the client that we have handled, modulo 2^32.
    handled: u32,
    /// As of which the client knows.
    told: u32,
    sent: Unacknowledged,
    /// To be written before anything else.
    due: Due,
    /// We have asked and wait for the answer.
    asked: bool,
}

/// What is to be written beside stanzas, in this order.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Due {
    /// `<enabled/>`.
    enabled: bool,
    /// `<a/>`.
    acknowledge: bool,
}

/// Something to write: in this order.
#[derive(Debug, Default)]
pub struct Batch {
    /// `<enabled/>` with this id and these seconds, if the session can be resumed.
    pub enabled: Option<Option<(SmolStr, Duration)>>,
    /// `<a h=…/>`.
    pub acknowledge: Option<u32>,
    /// `<r/>`, behind the stanzas.
    pub request: bool,
}

impl Link {
    /// Stream management begins (XEP-0198 §3). `false` if it has begun already.
    pub fn enable(&mut self, resumable: Option<(SmolStr, Duration)>) -> bool {
        if self.managed.is_some() {
            return false;
        }
        let due = Due { enabled: true, acknowledge: false };
        self.managed = Some(Box::new(Managed {
            resumable,
            handled: 0,
            told: 0,
            sent: Unacknowledged::default(),
            due,
            asked: false,
        }));
        true
    }

    /// It is enabled.
    #[must_use]
    pub fn is_managed(&self) -> bool {
        self.managed.is_some()
    }

    /// Under which it can be resumed, and for how long.
    #[must_use]
    pub fn resumable(&self) -> Option<(SmolStr, Duration)> {
        self.managed.as_ref()?.resumable.clone()
    }

    /// A stanza of the client has been handled. `true` if so many have that the client should be
    /// told unasked.
    pub fn handled(&mut self) -> bool {
        let Some(managed) = &mut self.managed else { return false };
        managed.handled = managed.handled.wrapping_add(1);
        let due = managed.handled.wrapping_sub(managed.told) >= TELL_AFTER;
        managed.due.acknowledge |= due;
        due
    }

    /// The client does not know how many have been handled.
    #[must_use]
    pub fn has_untold(&self) -> bool {
        self.managed.as_ref().is_some_and(|m| m.handled != m.told)
    }

    /// The client asks (`<r/>`), or it is time to tell. `false` without stream management.
    pub fn acknowledge_due(&mut self) -> bool {
        let Some(managed) = &mut self.managed else { return false };
        managed.due.acknowledge = true;
        true
    }

    /// How many stanzas of the client have been handled.
    #[must_use]
    pub fn handled_count(&self) -> u32 {
        self.managed.as_ref().map_or(0, |m| m.handled)
    }

    /// The client has handled `h` stanzas (`<a/>`). Those are given back in order.
    ///
    /// # Errors
    /// If it was never sent so many.
    pub fn acknowledged(&mut self, h: u32) -> Result<Vec<Delivery>, TooHigh> {
        let Some(managed) = &mut self.managed else { return Ok(Vec::new()) };
        managed.asked = false;
        managed.sent.acknowledge(h)
    }

    /// A new connection resumes the stream at `h` (XEP-0198 §5).
    ///
    /// # Errors
    /// If the client was never sent so many.
    pub fn resumed(&mut self, h: u32) -> Result<Vec<Delivery>, TooHigh> {
        let Some(managed) = &mut self.managed else { return Ok(Vec::new()) };
        managed.asked = false;
        managed.told = managed.handled;
        managed.due = Due::default();
        managed.sent.resume(h)
    }

    /// Takes over stanzas that will be written later: the connection is gone for now.
    pub fn keep(&mut self, deliveries: VecDeque<Delivery>) {
        if let Some(managed) = &mut self.managed {
            deliveries.into_iter().for_each(|delivery| managed.sent.push(delivery));
        }
    }

    /// What is to be written now, together with `stanzas`, which are taken over until they are
    /// acknowledged; they are given back with those to be written again.
    pub fn write(&mut self, stanzas: VecDeque<Delivery>) -> (Batch, VecDeque<Delivery>) {
        let Some(managed) = &mut self.managed else { return (Batch::default(), stanzas) };
        stanzas.into_iter().for_each(|delivery| managed.sent.push(delivery));
        let stanzas: VecDeque<_> = managed.sent.unwritten().cloned().collect();
        managed.sent.all_written();
        let due = std::mem::take(&mut managed.due);
        let acknowledge = due.acknowledge.then(|| {
            managed.told = managed.handled;
            managed.handled
        });
        let request = !managed.asked && !managed.sent.is_empty();
        managed.asked |= request;
        let enabled = due.enabled.then(|| managed.resumable.clone());
        (Batch { enabled, acknowledge, request }, stanzas)
    }

    /// How many stanzas, and about how many bytes, wait for an acknowledgement.
    #[must_use]
    pub fn unacknowledged(&self) -> (usize, usize) {
        self.managed.as_ref().map_or((0, 0), |m| (m.sent.len(), m.sent.bytes()))
    }

    /// What was never acknowledged, in order. Stream management ends.
    #[must_use]
    pub fn end(&mut self) -> VecDeque<Delivery> {
        self.managed.take().map(|m| m.sent.into_deliveries()).unwrap_or_default()
    }
}

/// Handled stanzas after which the client is told unasked.
const TELL_AFTER: u32 = 16;
