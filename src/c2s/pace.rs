//! How fast a client is read from. It lets others have their turn, and if it is over its budget of
//! traffic or work, it is read from later: TCP tells it to wait. All else goes on meanwhile: what
//! it is sent, acknowledgements, orders to close.

use super::connection::Ended;
use super::incoming::Incoming;
use super::stop::Stop;
use super::turn::Turn;
use crate::config::LimitsConfig;
use crate::limit::{Client, Pause};
use crate::stanza::{StreamCondition, StreamError};

/// How fast one client is read from.
#[derive(Debug)]
pub(super) struct Pace {
    turn: Turn,
    client: Client,
}

impl Pace {
    pub(super) fn new(incoming: &Incoming<'_>, limits: &LimitsConfig) -> Self {
        let handle = incoming.session.handle();
        let budgets = &incoming.hosts.budgets;
        let client = budgets.client(&handle.jid().to_bare(), handle.facts().peer.ip());
        Self { turn: Turn::new(limits), client }
    }

    /// So many bytes were read. Waits until the client may be read from again.
    ///
    /// # Errors
    /// How the session ends, if that would take too long; `None` if it is time to stop.
    pub(super) async fn read(&self, bytes: usize, stop: &Stop) -> Result<(), Option<Ended>> {
        wait(self.client.read(bytes), stop).await
    }

    /// A stanza of so many bytes was carried to the end, and what it has cost, in steps of the budget
    /// `work`. Waits until the next one may be.
    ///
    /// # Errors
    /// As [`Pace::read`]; or the stanza ends the stream.
    pub(super) async fn carried(
        &mut self,
        bytes: usize,
        steps: Result<u32, StreamError>,
        stop: &Stop,
    ) -> Result<(), Option<Ended>> {
        let steps = steps.map_err(|error| Some(Ended::Failed(error)))?;
        self.turn.spend(bytes).await;
        wait(self.client.worked(steps), stop).await
    }
}

async fn wait(pause: Option<Pause<'_>>, stop: &Stop) -> Result<(), Option<Ended>> {
    let Some(pause) = pause else { return Ok(()) };
    let Some(time) = pause.time() else {
        let error = StreamCondition::PolicyViolation.text("sends more than one client may");
        return Err(Some(Ended::Failed(error)));
    };
    tracing::debug!(?time, "the client is over its budget");
    tokio::select! {
        () = tokio::time::sleep(time) => Ok(()),
        () = stop.stopped() => Err(None),
    }
}
