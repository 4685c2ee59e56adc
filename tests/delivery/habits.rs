//! What devices are told to do, and how they behave.

use std::time::Duration;

use crate::ledger::Account;

/// What all devices are to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// Write to others.
    Talk,
    /// Send nothing new; what was sent is to be acknowledged.
    Settle,
    /// Close the stream.
    Leave,
}

/// What it does in the room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum InRoom {
    Listens,
    Writes,
}

/// How it behaves.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// It uses stream management (XEP-0198).
    pub(crate) managed: bool,
    /// It resumes its session this many times of 4, else it begins a new one.
    pub(crate) resumes: u64,
    /// Whom it writes to.
    pub(crate) peers: Vec<Account>,
    /// It is in the room whenever it is online, and then writes to nobody else.
    pub(crate) room: Option<InRoom>,
    /// Milliseconds between two messages, at most.
    pub(crate) pace: u64,
    /// Messages that may wait for an acknowledgement.
    pub(crate) window: usize,
    /// Milliseconds for which it stays away, at most.
    pub(crate) away: u64,
    /// Once in four times it stays away so much longer.
    pub(crate) away_longer: Duration,
    /// It loses its network after so many milliseconds, at most.
    pub(crate) drops: Option<u64>,
}

impl Habits {
    /// There is somebody it writes to.
    pub(crate) fn talks(&self) -> bool {
        match self.room {
            Some(room) => room == InRoom::Writes,
            None => !self.peers.is_empty(),
        }
    }
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            managed: true,
            resumes: 4,
            peers: Vec::new(),
            room: None,
            pace: 4,
            window: 30,
            away: 40,
            away_longer: Duration::ZERO,
            drops: None,
        }
    }
}
