//! The connections of external components (XEP-0114), and what is sent to them. A component has a domain that is
//! configured, and any number of addresses there, which this server does not know.
//!
//! Senders never wait for a component: its queue is bounded, and what does not fit is refused.

use std::hash::{BuildHasher, BuildHasherDefault};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHasher};
use smol_str::SmolStr;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::refusal_log::RefusalLog;
use super::{ServerState, SharedState};
use crate::jid::Jid;
use crate::stanza::{Condition, Stanza, StanzaError};

/// The connections of all components, by the configured domain.
#[derive(Debug, Default)]
pub struct Components {
    links: Mutex<FxHashMap<SmolStr, Vec<Arc<ComponentLink>>>>,
    last: AtomicU64,
    /// What is logged of connections that were refused.
    pub refusals: RefusalLog,
}

impl SharedState for Components {}

/// A connection of a component that has authenticated.
#[derive(Debug)]
pub struct ComponentLink {
    number: u64,
    /// Where the component is.
    pub peer: SocketAddr,
    /// When it has connected.
    pub since: tokio::time::Instant,
    queue: mpsc::Sender<Stanza>,
    /// Bytes in the queue.
    bytes: AtomicUsize,
    /// Cancelled when the connection is to end.
    closing: CancellationToken,
    /// Cancelled when the connection has ended.
    pub ended: CancellationToken,
}

/// The place of a connection. It is taken out when this is dropped.
#[derive(Debug)]
pub struct Entered<'a> {
    table: &'a Components,
    domain: SmolStr,
    link: Arc<ComponentLink>,
    /// There was no other connection of this component.
    pub is_first: bool,
}

/// What waits for a component. One task reads it.
#[derive(Debug)]
pub struct ComponentQueue {
    receiver: mpsc::Receiver<Stanza>,
    link: Arc<ComponentLink>,
}

impl Components {
    /// Enters a connection of the component with this configured domain. `None` if it has `most` already.
    pub fn enter(
        &self,
        domain: &str,
        most: usize,
        peer: SocketAddr,
    ) -> Option<(Entered<'_>, ComponentQueue)> {
        let (queue, receiver) = mpsc::channel(MOST_STANZAS);
        let mut links = self.links.lock();
        let of_domain = links.entry(domain.into()).or_default();
        if of_domain.len() >= most {
            return None;
        }
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let since = tokio::time::Instant::now();
        let (bytes, [closing, ended]) = (AtomicUsize::new(0), Default::default());
        let link = ComponentLink { number, peer, since, queue, bytes, closing, ended };
        let link = Arc::new(link);
        of_domain.push(Arc::clone(&link));
        let is_first = of_domain.len() == 1;
        drop(links);
        let queue = ComponentQueue { receiver, link: Arc::clone(&link) };
        Some((Entered { table: self, domain: domain.into(), link, is_first }, queue))
    }

    /// The connections of the component with this configured domain, oldest first.
    #[must_use]
    pub fn of(&self, domain: &str) -> Vec<Arc<ComponentLink>> {
        self.links.lock().get(domain).cloned().unwrap_or_default()
    }

    /// Whether the component with this configured domain is connected.
    #[must_use]
    pub fn is_connected(&self, domain: &str) -> bool {
        self.links.lock().contains_key(domain)
    }

    /// Ends the connections of a component, whose configuration has changed.
    pub fn close(&self, domain: &str) {
        for link in self.of(domain) {
            link.closing.cancel();
        }
    }

    /// Queues a stanza. What two addresses send to each other goes by one connection, so that their order is kept.
    fn send(&self, domain: &str, stanza: Stanza) -> Result<(), StanzaError> {
        let head = stanza.head();
        let link = self.link(domain, (head.from.as_ref(), head.to.as_ref())).ok_or_else(gone)?;
        let size = stanza.size();
        let full = || Condition::ResourceConstraint.text("too much waits for the component");
        if link.bytes.fetch_add(size, Ordering::AcqRel) > MOST_BYTES {
            link.bytes.fetch_sub(size, Ordering::AcqRel);
            return Err(full());
        }
        link.queue.try_send(stanza).map_err(|error| {
            link.bytes.fetch_sub(size, Ordering::AcqRel);
            match error {
                mpsc::error::TrySendError::Full(_) => full(),
                mpsc::error::TrySendError::Closed(_) => gone(),
            }
        })
    }
}

impl Components {
    /// Queues a stanza between two addresses when there is room. `make` makes it then; `None`: there is none to send.
    pub async fn send_patiently(
        &self,
        domain: &str,
        (from, to): (&Jid, &Jid),
        make: impl FnOnce() -> Option<Stanza>,
    ) {
        let Some(link) = self.link(domain, (Some(from), Some(to))) else { return };
        let Ok(room) = link.queue.reserve().await else { return };
        if let Some(stanza) = make() {
            link.bytes.fetch_add(stanza.size(), Ordering::AcqRel);
            room.send(stanza);
        }
    }

    /// The connection by which two addresses talk.
    #[must_use]
    pub fn link(&self, domain: &str, pair: Pair<'_>) -> Option<Arc<ComponentLink>> {
        let links = self.links.lock();
        let of_domain = links.get(domain).filter(|links| !links.is_empty())?;
        let chosen = match of_domain.len() {
            1 => 0,
            count => (hash_of(pair) % count as u64) as usize,
        };
        Some(Arc::clone(&of_domain[chosen]))
    }
}

impl ComponentLink {
    /// How many stanzas wait for it.
    #[must_use]
    pub fn waiting(&self) -> usize {
        MOST_STANZAS - self.queue.capacity()
    }
}

impl ComponentQueue {
    /// The next stanza. `None` when the connection was taken out and nothing is left.
    pub async fn next(&mut self) -> Option<Stanza> {
        let stanza = self.receiver.recv().await;
        stanza.inspect(|stanza| self.taken(stanza))
    }

    /// The next stanza, if one waits.
    pub fn try_next(&mut self) -> Option<Stanza> {
        let stanza = self.receiver.try_recv().ok();
        stanza.inspect(|stanza| self.taken(stanza))
    }

    /// Closes the queue: nothing more is taken.
    pub fn close(&mut self) {
        self.receiver.close();
    }

    fn taken(&self, stanza: &Stanza) {
        self.link.bytes.fetch_sub(stanza.size(), Ordering::AcqRel);
    }
}

impl Entered<'_> {
    /// Cancelled when the connection is to end.
    #[must_use]
    pub fn closing(&self) -> &CancellationToken {
        &self.link.closing
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut links = self.table.links.lock();
        if let Some(of_domain) = links.get_mut(&self.domain) {
            of_domain.retain(|link| link.number != self.link.number);
            if of_domain.is_empty() {
                links.remove(&self.domain);
            }
        }
        drop(links);
        self.link.ended.cancel();
    }
}

/// Sends a stanza to the component that has the domain of this address. `None` if no component has it: it is
/// somewhere else, and the stanza is returned.
///
/// # Errors
/// The error for its sender: `remote-server-timeout` if the component is not connected, `resource-constraint` if too
/// much waits for it.
pub fn send(server: &ServerState, to: &Jid, stanza: Stanza) -> Result<Option<Stanza>, StanzaError> {
    let config = server.config.load();
    let Some(component) = config.component(to.domain()) else { return Ok(Some(stanza)) };
    let components = server.find_shared::<Components>().ok_or_else(gone)?;
    components.send(&component.domain, stanza).map(|()| None)
}

/// Whether a component has the domain of this address, connected or not.
#[must_use]
pub fn has(server: &ServerState, to: &Jid) -> bool {
    server.config.load().component(to.domain()).is_some()
}

/// Whether the component with this configured domain belongs to this host: this is the nearest of the hosts below which
/// it is, or it is below none.
#[must_use]
pub fn is_of_host(server: &ServerState, domain: &str, host: &str) -> bool {
    let is_below = |host: &str| domain.strip_suffix(host).is_some_and(|above| above.ends_with('.'));
    let hosts = server.hosts();
    let above = hosts.iter().map(|other| other.domain.as_str()).filter(|other| is_below(other));
    above.max_by_key(|other| other.len()).is_none_or(|nearest| nearest == host)
}

/// Whether this domain belongs to the component with the configured domain `component`: it is the same, or one below it
/// that no other component has.
#[must_use]
pub fn owns(server: &ServerState, component: &str, domain: &str) -> bool {
    let config = server.config.load();
    config.component(domain).is_some_and(|owner| owner.domain == component)
}

/// Whether a component has this domain, connected or not.
#[must_use]
pub fn is_one(server: &ServerState, domain: &str) -> bool {
    server.config.load().component(domain).is_some()
}

/// The error for what cannot be given to a component now (RFC 6120 §8.3.3.16).
#[must_use]
pub fn gone() -> StanzaError {
    Condition::RemoteServerTimeout.text("the component is not connected")
}

/// A number that is the same for all stanzas from one account to another.
fn hash_of((from, to): Pair<'_>) -> u64 {
    let bare = |jid: Option<&Jid>| jid.map(|jid| jid.to_bare());
    BuildHasherDefault::<FxHasher>::default().hash_one((bare(from), bare(to))) >> 32
}

/// Sender and recipient.
pub type Pair<'a> = (Option<&'a Jid>, Option<&'a Jid>);

/// What may wait for one connection.
const MOST_STANZAS: usize = 1000;
const MOST_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::{Content, Head, Message, MessageKind};

    fn message(from: &str, to: &str) -> Stanza {
        let [from, to] = [from, to].map(|jid| Some(Jid::parse(jid).unwrap()));
        let head = Head { from, to, ..Head::default() };
        Stanza::Message(Message { head, kind: MessageKind::Chat, content: Content::default() })
    }

    fn peer() -> SocketAddr {
        ([127, 0, 0, 1], 9).into()
    }

    #[tokio::test]
    async fn a_pair_of_addresses_has_one_of_several_connections() {
        let table = Components::default();
        assert!(table.send("c.example", message("a@b", "x@c.example")).is_err());
        let (first, mut one) = table.enter("c.example", 2, peer()).unwrap();
        let (second, mut two) = table.enter("c.example", 2, peer()).unwrap();
        assert!(first.is_first && !second.is_first);
        assert!(table.enter("c.example", 2, peer()).is_none());
        for number in 0..40 {
            for resource in ["", "/a", "/b"] {
                let from = format!("user{number}@b{resource}");
                table.send("c.example", message(&from, "x@c.example")).unwrap();
            }
        }
        let mut seen = [0, 0];
        for (count, queue) in seen.iter_mut().zip([&mut one, &mut two]) {
            let mut last = None;
            while let Some(stanza) = queue.try_next() {
                let user = stanza.head().from.as_ref().unwrap().to_bare();
                *count += usize::from(last.as_ref() != Some(&user));
                last = Some(user);
            }
        }
        assert_eq!(seen.iter().sum::<usize>(), 40, "each user has one connection");
        assert!(seen.iter().all(|count| *count > 5), "{seen:?}");
        drop(first);
        for number in 0..10 {
            table.send("c.example", message(&format!("user{number}@b"), "c.example")).unwrap();
        }
        assert_eq!(table.of("c.example")[0].waiting(), 10);
        drop(second);
        assert!(!table.is_connected("c.example"));
    }

    #[tokio::test]
    async fn what_waits_for_a_component_is_bounded() {
        let table = Components::default();
        let (_entered, mut queue) = table.enter("c.example", 1, peer()).unwrap();
        for _ in 0..MOST_STANZAS {
            table.send("c.example", message("a@b", "c.example")).unwrap();
        }
        let error = table.send("c.example", message("a@b", "c.example")).unwrap_err();
        assert_eq!(error.condition, Condition::ResourceConstraint);
        assert!(queue.next().await.is_some());
        table.send("c.example", message("a@b", "c.example")).unwrap();
        queue.close();
        let error = table.send("c.example", message("a@b", "c.example")).unwrap_err();
        assert_eq!(error.condition, Condition::RemoteServerTimeout);
    }
}
