//! How fast a client is read from. After some stanzas, other tasks have their turn. A client that is over its
//! budget of traffic or work is read from later: TCP makes it wait. Meanwhile everything else continues:
//! writing to it, acknowledgements, orders to close.

use super::connection_end::ConnectionEnd;
use super::loop_shutdown::LoopShutdown;
use super::loops::Loops;
use crate::config::LimitsConfig;
use crate::limit::{Client, Pause};
use crate::stanza::StreamCondition;

/// How fast one client is read from.
#[derive(Debug)]
pub(super) struct ReadRate {
    turn: FairBudget,
    client: Client,
}

impl ReadRate {
    pub(super) fn new(loops: &Loops<'_>) -> Self {
        let handle = loops.session.handle();
        let budgets = &loops.server.budgets;
        let client = budgets.client(&handle.jid().to_bare(), handle.facts().peer.ip());
        Self { turn: FairBudget::new(loops.limits), client }
    }

    /// Notes that `bytes` were read. Returns the pause before more is read from the client; `None`: no pause.
    pub(super) fn read(&self, bytes: usize) -> Option<Pause<'_>> {
        self.client.read(bytes)
    }

    /// Notes that a stanza of this size in bytes was handled, at this cost in steps of the budget `work`. Waits until the
    /// next stanza may be handled.
    ///
    /// # Errors
    /// How the session ends, if that would take too long; `None` if it is time to stop.
    pub(super) async fn carried(
        &mut self,
        bytes: usize,
        steps: u32,
        stop: &LoopShutdown,
    ) -> Result<(), Option<ConnectionEnd>> {
        self.turn.spend(bytes).await;
        match self.client.worked(steps) {
            Some(pause) => wait(pause, stop).await,
            None => Ok(()),
        }
    }
}

/// Waits until the client is within its budget again.
///
/// # Errors
/// How the session ends, if that would take too long; `None` if it is time to stop.
pub(super) async fn wait(
    pause: Pause<'_>,
    stop: &LoopShutdown,
) -> Result<(), Option<ConnectionEnd>> {
    let Some(time) = pause.time() else {
        let error = StreamCondition::PolicyViolation.text("sends more than one client may");
        return Err(Some(ConnectionEnd::Failed(error)));
    };
    tracing::debug!(?time, "the client is over its budget");
    tokio::select! {
        () = tokio::time::sleep(time) => Ok(()),
        () = stop.stopped() => Err(None),
    }
}

/// How much work one client may cause before other tasks run. A task that has bytes to read does
/// not yield by itself for a long time, and the tasks that it wakes wait for its thread. Without turns, a
/// burst of stanzas fills the mailbox of a client that reads all the time, and closes it.
#[derive(Debug)]
struct FairBudget {
    stanzas: usize,
    bytes: usize,
    left: (usize, usize),
}

impl FairBudget {
    /// A turn is a small part of a mailbox.
    fn new(limits: &LimitsConfig) -> Self {
        let (stanzas, bytes) = (limits.inbox_stanzas / PART, limits.inbox_bytes / PART);
        Self { stanzas, bytes, left: (stanzas, bytes) }
    }

    /// Notes that a stanza of this size in bytes was handled. Lets other tasks run if the budget is used up.
    async fn spend(&mut self, bytes: usize) {
        self.left = (self.left.0.saturating_sub(1), self.left.1.saturating_sub(bytes));
        if self.left.0 == 0 || self.left.1 == 0 {
            self.left = (self.stanzas, self.bytes);
            tokio::task::yield_now().await;
        }
    }
}

/// A turn is this part of a mailbox, since several clients may write to one mailbox at a time.
const PART: usize = 8;
