//! Gives last items to sessions (XEP-0163 §4.3.4).
//!
//! A session is walked through once at a time: accounts one after another, at the pace at which its client reads.
//! Interests that the client announces meanwhile wait for the next walk. So a client that changes its interests again
//! and again does not cause more work at a time than one that does not.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use super::last_item_walk::{Nodes, Walk, Wish};
use crate::host::{Cx, ServerState, SharedState};
use crate::jid::FullJid;
use crate::payload::datetime::Timestamp;
use crate::session::SessionRef;
use crate::storage;

/// Last items on their way to sessions.
#[derive(Default)]
pub(super) struct Deliveries {
    server: OnceLock<Weak<ServerState>>,
    sessions: Mutex<FxHashMap<FullJid, OfSession>>,
}

impl SharedState for Deliveries {}

/// What is on its way to a session, and what it has had.
struct OfSession {
    session: SessionRef,
    is_busy: bool,
    next: Wish,
    /// Nodes of which it wanted to hear once, and when it stopped: what was published before, it has had.
    left: BTreeMap<SmolStr, Timestamp>,
    /// Whether it could not be given all that it wanted: nobody knows what it has had.
    has_missed: bool,
}

impl OfSession {
    fn new(session: &SessionRef) -> Self {
        let (next, left) = Default::default();
        Self { session: session.clone(), is_busy: false, next, left, has_missed: false }
    }
}

impl Deliveries {
    /// The server, for tasks.
    pub(super) fn start(&self, server: &Arc<ServerState>) {
        drop(self.server.set(Arc::downgrade(server)));
    }

    /// A session is interested in `new` nodes, and no longer in `old` ones.
    pub(super) fn changed<'a>(
        &self,
        session: &SessionRef,
        new: impl Iterator<Item = &'a SmolStr>,
        old: impl Iterator<Item = &'a SmolStr>,
        now: Timestamp,
    ) -> Nodes {
        let mut sessions = self.sessions.lock();
        let Some(of) = of(&mut sessions, session) else {
            let left: BTreeMap<_, _> = old.take(MAX_LEFT).map(|node| (node.clone(), now)).collect();
            if !left.is_empty() {
                let new = OfSession { left, ..OfSession::new(session) };
                sessions.insert(session.jid().clone(), new);
            }
            return new.map(|node| (node.clone(), None)).collect();
        };
        let nodes = new.map(|node| (node.clone(), of.left.remove(node))).collect();
        // It has not had all of them while they are on their way.
        for node in old.filter(|_| !of.is_busy && !of.has_missed) {
            if of.left.len() < MAX_LEFT {
                of.left.insert(node.clone(), now);
            }
        }
        nodes
    }

    /// Notes that a session may see more from now on: of nodes in which it is not interested now, it has not got everything.
    pub(super) fn sees_more(&self, session: &SessionRef) {
        let mut sessions = self.sessions.lock();
        let Some(of) = of(&mut sessions, session) else { return };
        of.left.clear();
        if !of.is_busy && !of.has_missed {
            sessions.remove(session.jid());
        }
    }

    /// Notes that a walk has failed: the session has not got everything.
    fn failed(&self, session: &SessionRef) {
        let mut sessions = self.sessions.lock();
        let Some(of) = of(&mut sessions, session) else { return };
        of.left.clear();
        of.has_missed = true;
    }

    /// Forgets a session that has become unavailable. When it is available again, it begins anew.
    pub(super) fn forget(&self, session: &SessionRef) {
        let mut sessions = self.sessions.lock();
        let Some(of) = of(&mut sessions, session) else { return };
        (of.next, of.left, of.has_missed) = Default::default();
        if !of.is_busy {
            sessions.remove(session.jid());
        }
    }

    /// Gives a session what it wants: a little at once, and more in a task.
    pub(super) async fn give(
        &self,
        cx: &Cx<'_>,
        session: &SessionRef,
        wish: Wish,
    ) -> storage::Result<()> {
        if wish.is_empty() || self.must_wait(session, &wish) {
            return Ok(());
        }
        let at_once = cx.server.config.load().limits.inbox_stanzas / 8;
        let mut walk = Walk::new(session.clone(), wish);
        let done = walk.advance(cx.server, Some(at_once)).await;
        if done.is_err() {
            self.failed(session);
        }
        let next = match &done {
            Ok(false) => Some(walk),
            Ok(true) | Err(_) => self.next(session),
        };
        if let Some(walk) = next {
            self.spawn(|server| go_on(server, walk));
        }
        done.map(drop)
    }

    /// Sends last items in a task, which ends with the server.
    pub(super) fn spawn<F>(&self, work: impl FnOnce(Arc<ServerState>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(server) = self.server.get().and_then(Weak::upgrade) else { return };
        let stopping = server.tasks.stopping();
        let work = stopping.run_until_cancelled_owned(work(Arc::clone(&server)));
        drop(server.tasks.spawn("last-items", work));
    }

    /// Whether something is on its way to the session: then what it wants is given to it afterwards.
    fn must_wait(&self, session: &SessionRef, wish: &Wish) -> bool {
        let mut sessions = self.sessions.lock();
        // The entry of an earlier session of this address is over.
        let Some(of) = of(&mut sessions, session) else {
            let new = OfSession { is_busy: true, ..OfSession::new(session) };
            sessions.insert(session.jid().clone(), new);
            return false;
        };
        if !of.is_busy {
            of.is_busy = true;
            return false;
        }
        of.next.add(Wish { of_all: wish.of_all.clone(), of: wish.of.clone() });
        true
    }

    /// Notes the end of a walk. Returns the next one, if something waits.
    fn next(&self, session: &SessionRef) -> Option<Walk> {
        let mut sessions = self.sessions.lock();
        let of = of(&mut sessions, session)?;
        if !of.next.is_empty() {
            return Some(Walk::new(session.clone(), std::mem::take(&mut of.next)));
        }
        of.is_busy = false;
        if of.left.is_empty() && !of.has_missed {
            sessions.remove(session.jid());
        }
        None
    }
}

/// What there is of this session. `None` also if it is of an earlier one with the same address.
fn of<'a>(
    sessions: &'a mut FxHashMap<FullJid, OfSession>,
    session: &SessionRef,
) -> Option<&'a mut OfSession> {
    sessions.get_mut(session.jid()).filter(|of| of.session == *session)
}

/// Walks on to the end, and then whatever waits.
async fn go_on(server: Arc<ServerState>, mut walk: Walk) {
    loop {
        if let Err(error) = walk.advance(&server, None).await {
            tracing::warn!(%error, "cannot read last items");
            server.shared::<Deliveries>().failed(walk.session());
        }
        match server.shared::<Deliveries>().next(walk.session()) {
            Some(next) => walk = next,
            None => return,
        }
    }
}

/// How many nodes are remembered in which a session is no longer interested.
const MAX_LEFT: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{MailboxLimits, Session, SessionFacts, SessionTable};

    #[test]
    fn a_client_that_connects_again_does_not_wait_for_its_earlier_session() {
        let table = Arc::<SessionTable>::default();
        let open = || {
            let jid = FullJid::parse("romeo@localhost/phone").unwrap();
            let bounds = MailboxLimits { stanzas: 9, bytes: 1 << 10 };
            Session::open(Arc::clone(&table), jid, SessionFacts::for_tests(), bounds, 9)
        };
        let wish = || {
            let of_all = [(SmolStr::from("n"), None)].into_iter().collect();
            Wish { of_all, of: Vec::new() }
        };
        let all = Deliveries::default();
        let earlier = open();
        assert!(!all.must_wait(earlier.handle(), &wish()));
        assert!(all.must_wait(earlier.handle(), &wish()), "the same session waits for its walk");
        let session = open();
        assert!(!all.must_wait(session.handle(), &wish()), "it is another session");
        // The end of the earlier one takes nothing away.
        all.forget(earlier.handle());
        assert!(all.next(earlier.handle()).is_none());
        assert!(all.must_wait(session.handle(), &wish()));
        assert!(all.next(session.handle()).is_some());
        assert!(all.next(session.handle()).is_none() && all.sessions.lock().is_empty());
    }

    #[test]
    fn a_client_that_has_not_had_all_gets_old_items_when_it_wants_them_again() {
        let jid = FullJid::parse("romeo@localhost/phone").unwrap();
        let bounds = MailboxLimits { stanzas: 9, bytes: 1 << 10 };
        let session = Session::open(Arc::default(), jid, SessionFacts::for_tests(), bounds, 9);
        let (session, node) = (session.handle(), [SmolStr::from("n")]);
        let now = Timestamp::from_micros(7);
        let all = Deliveries::default();
        let stops = || all.changed(session, [].iter(), node.iter(), now);
        let again = || all.changed(session, node.iter(), [].iter(), now)["n"];
        stops();
        assert_eq!(again(), Some(now), "it has had what was published before");
        stops();
        all.sees_more(session);
        assert!(all.sessions.lock().is_empty());
        assert_eq!(again(), None, "it sees another contact since then");
        let of_all = [(node[0].clone(), None)].into_iter().collect();
        assert!(!all.must_wait(session, &Wish { of_all, of: Vec::new() }));
        all.failed(session);
        assert!(all.next(session).is_none());
        stops();
        assert_eq!(again(), None, "the store has failed");
        all.forget(session);
        assert!(all.sessions.lock().is_empty());
    }
}
