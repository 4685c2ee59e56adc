//! Stanzas of one stream belong to many users. They are carried in lanes, by sender and recipient, so that a slow one does
//! not hold all others, and each pair keeps its order (RFC 6120 §10.1).
//!
//! A lane is a task only while it has something to do.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::handled::{Handled, Place};
use crate::host::{Origin, stanza_log};
use crate::router::{Router, Unsettled};
use crate::stanza::{Refusal, Stanza, StreamCondition, StreamError};
use crate::xml::Frame;

/// The lanes of one stream.
pub(in crate::s2s) struct Lanes {
    router: Arc<Router>,
    lanes: [Arc<Lane>; LANES],
    room: Arc<Semaphore>,
    /// How many are carried to the end, if that is counted.
    pub(in crate::s2s) handled: Arc<Handled>,
}

#[derive(Default)]
struct Lane(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Carried>,
    is_running: bool,
}

/// A stanza of a domain, its room, and its place among those that are counted.
type Carried = (SmolStr, Stanza, OwnedSemaphorePermit, Option<Place>);

impl Lanes {
    pub(in crate::s2s) fn new(router: Arc<Router>) -> Self {
        let lanes = std::array::from_fn(|_| Arc::default());
        Self { router, lanes, room: Arc::new(Semaphore::new(ROOM)), handled: Arc::default() }
    }

    /// Has a stanza of this domain carried. Waits while too many are.
    async fn carry(&self, domain: SmolStr, stanza: Stanza, own: Option<Place>) {
        // It is never closed.
        let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else { return };
        let lane = &self.lanes[place(&stanza)];
        let mut state = lane.0.lock();
        state.waiting.push_back((domain, stanza, permit, own));
        if !std::mem::replace(&mut state.is_running, true) {
            let task = run(Arc::clone(&self.router), Arc::clone(lane));
            drop(self.router.server.tasks.spawn("lane", task));
        }
    }

    /// Has a stanza of this domain carried. One with a fault is answered. `lang`: the language of the stream.
    ///
    /// # Errors
    /// It is no stanza: the stream ends.
    pub(in crate::s2s) async fn read(
        &self,
        domain: SmolStr,
        frame: Frame,
        lang: Option<&SmolStr>,
    ) -> Result<(), StreamError> {
        let server = &self.router.server;
        match Stanza::read(frame) {
            Ok(mut stanza) => {
                let head = stanza.head_mut();
                if head.lang.is_none() {
                    head.lang = lang.cloned(); // RFC 6120 §8.1.5
                }
                server.metrics.server_stanzas_in.of(stanza.name()).inc();
                self.carry(domain, stanza, self.handled.enter()).await;
                Ok(())
            }
            Err(Refusal::NotAStanza) => {
                let condition = StreamCondition::UnsupportedStanzaType;
                stanza_log::note_refused(Some(&domain), None, condition, None);
                Err(condition.into())
            }
            Err(Refusal::Faulty(stanza, error)) => {
                let _own = self.handled.enter();
                let answer = error.answer(&stanza);
                stanza_log::note_returned(&stanza, &error, answer.is_some());
                if let (Some(answer), Some(route)) = (answer, server.route()) {
                    Box::pin(route.route(answer)).await;
                }
                Ok(())
            }
        }
    }

    /// Waits until more stanzas are handled, if there are lanes. For one task only.
    pub(in crate::s2s) async fn progress_if(lanes: Option<&Self>) {
        if let Some(lanes) = lanes {
            lanes.handled.progress().await;
        }
    }

    /// Waits until all are carried.
    pub(in crate::s2s) async fn finish(&self) {
        drop(self.room.acquire_many(ROOM as u32).await);
    }
}

/// Carries what waits in a lane, one after another.
async fn run(router: Arc<Router>, lane: Arc<Lane>) {
    // A panic ends this task: the lane must not wait for it.
    let running = Running(&lane);
    let mut unsettled = Unsettled::default();
    loop {
        let next = {
            let mut state = lane.0.lock();
            let next = state.waiting.pop_front();
            state.is_running = next.is_some();
            next
        };
        let Some((domain, stanza, permit, own)) = next else { break };
        let origin = Origin::Server(domain);
        match Box::pin(router.from_domain(&origin, stanza)).await {
            Ok(receipts) => unsettled.add(receipts, (permit, own)).await,
            Err(condition) => {
                tracing::error!(
                    condition = condition.as_str(),
                    "a stanza of another server was refused"
                );
            }
        }
    }
    std::mem::forget(running);
    unsettled.finish().await;
}

/// Lets the lane begin again when its task panics. What waited in it is lost.
struct Running<'a>(&'a Lane);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let lost = std::mem::take(&mut *self.0.0.lock());
        for (_, stanza, ..) in &lost.waiting {
            stanza_log::note_lost(stanza, "the server has failed at the stanza before it");
        }
    }
}

/// By both accounts.
fn place(stanza: &Stanza) -> usize {
    let mut hasher = DefaultHasher::new();
    for jid in [&stanza.head().from, &stanza.head().to].into_iter().flatten() {
        jid.bare_str().hash(&mut hasher);
    }
    (hasher.finish() % LANES as u64) as usize
}

const LANES: usize = 16;
/// Stanzas of one stream that are being carried. The disk writes some hundred at once.
const ROOM: usize = 256;
