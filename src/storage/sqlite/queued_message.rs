//! A message on its way to the writer.

use tokio::sync::oneshot;

use crate::storage::{MessageId, NewMessage, Result, StorageError};

/// A message in the queue of the writer.
#[derive(Debug)]
pub(super) struct QueuedMessage {
    pub(super) id: MessageId,
    /// Its holders are merged.
    pub(super) message: NewMessage,
    /// Why it is refused, if it is. The caller learns that when the transaction is durable.
    pub(super) refused: Option<StorageError>,
    pub(super) answer: oneshot::Sender<Result<()>>,
}

impl QueuedMessage {
    /// Answers the caller. `failure` is the error of the transaction, if it has failed.
    pub(super) fn settle(self, failure: Option<&StorageError>) {
        let answer = match (failure, self.refused) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(()),
        };
        // The caller may be gone. The message is written in any case.
        drop(self.answer.send(answer));
    }
}
