//! How fast a client is read from. It lets others have their turn, and if it is over its budget of
//! traffic or work, it is read from later: TCP tells it to wait. All else goes on meanwhile: what
//! it is sent, acknowledgements, orders to close.

use super::connection::ConnectionEnd;
use super::fair_budget::FairBudget;
use super::incoming::Incoming;
use super::loop_shutdown::LoopShutdown;
use crate::config::LimitsConfig;
use crate::limit::{Client, Pause};
use crate::stanza::{StreamCondition, StreamError};

/// How fast one client is read from.
#[derive(Debug)]
pub(super) struct ReadRate {
    turn: FairBudget,
    client: Client,
}

impl ReadRate {
    pub(super) fn new(incoming: &Incoming<'_>, limits: &LimitsConfig) -> Self {
        let handle = incoming.session.handle();
        let budgets = &incoming.hosts.budgets;
        let client = budgets.client(&handle.jid().to_bare(), handle.facts().peer.ip());
        Self { turn: FairBudget::new(limits), client }
    }

    /// So many bytes were read. Waits until the client may be read from again.
    ///
    /// # Errors
    /// How the session ends, if that would take too long; `None` if it is time to stop.
    pub(super) async fn read(
        &self,
        bytes: usize,
        stop: &LoopShutdown,
    ) -> Result<(), Option<ConnectionEnd>> {
        wait(self.client.read(bytes), stop).await
    }

    /// A stanza of so many bytes was carried to the end, and what it has cost, in steps of the budget
    /// `work`. Waits until the next one may be.
    ///
    /// # Errors
    /// As [`ReadRate::read`]; or the stanza ends the stream.
    pub(super) async fn carried(
        &mut self,
        bytes: usize,
        steps: Result<u32, StreamError>,
        stop: &LoopShutdown,
    ) -> Result<(), Option<ConnectionEnd>> {
        let steps = steps.map_err(|error| Some(ConnectionEnd::Failed(error)))?;
        self.turn.spend(bytes).await;
        wait(self.client.worked(steps), stop).await
    }
}

async fn wait(pause: Option<Pause<'_>>, stop: &LoopShutdown) -> Result<(), Option<ConnectionEnd>> {
    let Some(pause) = pause else { return Ok(()) };
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
