//! Connections to the proxy for bytestreams (XEP-0065) that wait until the requester activates them. The listener
//! (`src/bytestream/`) enters them, the service `proxy.<host>` activates them.
//!
//! Both clients name the bytestream by a hash of its id and their addresses. These connections are not authenticated, so
//! nothing is relayed until the requester says on an authenticated stream which two belong together.

use std::any::Any;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use sha1::{Digest, Sha1};
use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use super::SharedState;
use crate::jid::{BareJid, Jid};
use crate::limit::Held;

/// The connections that wait. The budget `waiting_bytestreams` bounds them.
#[derive(Debug, Default)]
pub struct Bytestreams {
    waiting: Mutex<FxHashMap<StreamHash, SmallVec<[Entry; 2]>>>,
    last: AtomicU64,
}

impl SharedState for Bytestreams {}

/// The name of a bytestream: SHA-1 of its id, the requester, and the target (XEP-0065 §6.3.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StreamHash([u8; 20]);

/// What a waiting connection is to do.
#[derive(Debug)]
pub enum Start {
    /// To give itself to the task of the other one.
    Give(oneshot::Sender<Side>),
    /// To take the other one, and relay.
    Take(oneshot::Receiver<Side>, Activation),
}

/// Who has activated a bytestream.
#[derive(Debug)]
pub struct Activation {
    /// The requester.
    pub user: BareJid,
    /// Counts the bytestream as long as it is there.
    pub held: Held,
}

/// A connection that is handed over.
pub struct Side {
    /// Its bytes.
    pub io: Box<dyn Duplex>,
    /// Where its client is.
    pub address: IpAddr,
    /// Counts the connection as long as it is open.
    pub counted: Box<dyn Any + Send>,
}

/// Bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection that waits. Dropping it takes it out.
#[derive(Debug)]
pub struct Waiting<'a> {
    table: &'a Bytestreams,
    hash: StreamHash,
    number: u64,
    /// Told what to do, once.
    pub start: oneshot::Receiver<Start>,
}

/// Why a bytestream cannot be activated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotActive {
    /// One client is connected.
    OneOnly,
    /// No client is connected.
    Unknown,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    start: oneshot::Sender<Start>,
}

impl StreamHash {
    /// The hash that clients make of these.
    #[must_use]
    pub fn of(sid: &str, requester: &Jid, target: &Jid) -> Self {
        let mut hash = Sha1::new();
        for part in [sid, requester.as_str(), target.as_str()] {
            hash.update(part.as_bytes());
        }
        Self(hash.finalize().into())
    }

    /// Reads it: 40 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (pairs, rest) = text.as_chunks::<2>();
        let mut hash = [0; 20];
        if pairs.len() != hash.len() || !rest.is_empty() {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(pairs) {
            let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
            *byte = u8::try_from(high? * 16 + low?).ok()?;
        }
        Some(Self(hash))
    }
}

impl Bytestreams {
    /// Waits for the activation of this bytestream. `None` if two connections wait for it already.
    pub fn wait(&self, hash: StreamHash) -> Option<Waiting<'_>> {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let (sender, start) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        let entries = waiting.entry(hash).or_default();
        if entries.len() >= 2 {
            return None;
        }
        entries.push(Entry { number, start: sender });
        Some(Waiting { table: self, hash, number, start })
    }

    /// Starts the relay between the two connections that wait for this bytestream.
    ///
    /// # Errors
    /// If there are not two. Then nothing changes.
    pub fn activate(&self, hash: StreamHash, activation: Activation) -> Result<(), NotActive> {
        let mut waiting = self.waiting.lock();
        let connected = waiting.get(&hash).map_or(0, SmallVec::len);
        if connected < 2 {
            return Err(if connected == 1 { NotActive::OneOnly } else { NotActive::Unknown });
        }
        let mut entries = waiting.remove(&hash).unwrap_or_default().into_iter();
        drop(waiting);
        let (Some(first), Some(second)) = (entries.next(), entries.next()) else {
            return Err(NotActive::Unknown);
        };
        let (give, take) = oneshot::channel();
        let gone = |_| NotActive::OneOnly;
        first.start.send(Start::Give(give)).map_err(gone)?;
        second.start.send(Start::Take(take, activation)).map_err(gone)
    }

    /// How many connections wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.lock().values().map(SmallVec::len).sum()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.table.waiting.lock();
        if let Some(entries) = waiting.get_mut(&self.hash) {
            entries.retain(|entry| entry.number != self.number);
            if entries.is_empty() {
                waiting.remove(&self.hash);
            }
        }
    }
}

impl std::fmt::Debug for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Side").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Level;
    use crate::metrics::Metrics;

    fn hash() -> StreamHash {
        let [a, b] = ["requester@example.com/foo", "target@example.org/bar"].map(Jid::parse);
        StreamHash::of("vxf9n471bn46", &a.unwrap(), &b.unwrap())
    }

    fn activation() -> Activation {
        let config = crate::config::Config::parse("", "test").unwrap();
        let level = crate::limit::Budgets::new(&config, &Metrics::new());
        let level: &Level = &level.bytestreams;
        let user = BareJid::parse("requester@example.com").unwrap();
        Activation { user, held: level.holder(None, None) }
    }

    #[test]
    fn a_hash_is_read_in_both_cases_and_no_other_way() {
        let text = "98b8d688d0f5d895fd41c5e7309a2e9e33ba32ff";
        assert_eq!(StreamHash::parse(text.as_bytes()), Some(hash()));
        assert_eq!(StreamHash::parse(text.to_uppercase().as_bytes()), Some(hash()));
        for wrong in ["", "97", &text[1..], &format!("{text}00"), &text.replace('9', "g")] {
            assert_eq!(StreamHash::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn two_wait_and_a_third_does_not() {
        let table = Bytestreams::default();
        assert_eq!(table.activate(hash(), activation()), Err(NotActive::Unknown));
        let mut first = table.wait(hash()).unwrap();
        assert_eq!(table.activate(hash(), activation()), Err(NotActive::OneOnly));
        let gone = table.wait(hash()).unwrap();
        assert!(table.wait(hash()).is_none());
        drop(gone);
        let mut second = table.wait(hash()).unwrap();
        assert_eq!(table.activate(hash(), activation()), Ok(()));
        assert!(matches!(first.start.try_recv(), Ok(Start::Give(_))));
        assert!(matches!(second.start.try_recv(), Ok(Start::Take(..))));
        assert!(table.is_empty());
        // The next ones with this name are another bytestream.
        let next = table.wait(hash()).unwrap();
        drop((first, second));
        assert_eq!(table.len(), 1);
        drop(next);
        assert!(table.is_empty());
    }
}
