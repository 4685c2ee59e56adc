//! Receipts: what was handed to the store is durable, or has failed.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::{Result, StorageError};

/// Resolves when something is durable, or when it has failed.
#[derive(Debug)]
#[must_use = "nothing is durable before it resolves"]
pub struct Receipt(State);

/// Those of one stanza.
pub type Receipts = SmallVec<[Receipt; 1]>;

#[derive(Debug)]
enum State {
    Settled(Option<Result<()>>),
    Waiting(oneshot::Receiver<Result<()>>),
}

impl Receipt {
    /// A receipt that has resolved.
    pub fn settled(outcome: Result<()>) -> Self {
        Self(State::Settled(Some(outcome)))
    }

    /// A receipt that resolves with the message on this channel.
    pub fn waiting(on: oneshot::Receiver<Result<()>>) -> Self {
        Self(State::Waiting(on))
    }
}

impl Future for Receipt {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut self.0 {
            State::Settled(outcome) => Poll::Ready(outcome.take().unwrap_or_else(|| {
                Err(StorageError::Database("a receipt was asked twice".into()))
            })),
            State::Waiting(on) => Pin::new(on)
                .poll(cx)
                .map(|outcome| outcome.unwrap_or_else(|_| Err(StorageError::closed()))),
        }
    }
}
