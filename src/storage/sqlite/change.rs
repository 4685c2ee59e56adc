//! A change of the database: what a caller hands to the writer, and waits for.

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::write_tx::WriteTx;
use crate::storage::{Result, StorageError};

/// A change of the database.
#[async_trait]
pub(in crate::storage) trait Change: Send + Sync + 'static {
    /// The answer to the caller.
    type Answer: Send + 'static;

    /// Writes the change. It is called again if the transaction was rolled back. A refusal or `Conflict`
    /// may only be returned before anything is written. Any other error rolls back the transaction.
    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<Self::Answer>;
}

/// A change that changes nothing. It needs the writer and the database as every other one.
pub(super) struct Nothing;

#[async_trait]
impl Change for Nothing {
    type Answer = ();

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<()> {
        on.tx.connection().await?;
        Ok(())
    }
}

/// A change with the sender of its answer.
pub(super) struct Asked<C: Change> {
    pub(super) change: C,
    pub(super) result: Option<Result<C::Answer>>,
    pub(super) answer: oneshot::Sender<Result<C::Answer>>,
}

/// A change, and the caller that waits for its answer.
#[async_trait]
pub(super) trait Pending: Send {
    async fn apply(&mut self, on: &mut WriteTx<'_>) -> Result<()>;
    fn settle(self: Box<Self>, failure: Option<&StorageError>);
}

#[async_trait]
impl<C: Change> Pending for Asked<C> {
    async fn apply(&mut self, on: &mut WriteTx<'_>) -> Result<()> {
        match self.change.apply(on).await {
            Err(error) if error.is_refusal() || matches!(error, StorageError::Conflict) => {
                self.result = Some(Err(error));
            }
            answer => self.result = Some(Ok(answer?)),
        }
        Ok(())
    }

    fn settle(self: Box<Self>, failure: Option<&StorageError>) {
        let answer = match (failure, self.result) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(answer)) => answer,
            (None, None) => Err(StorageError::Database("it was not tried".into())),
        };
        // The caller may have been dropped. The change is written in any case.
        drop(self.answer.send(answer));
    }
}
