//! Stanzas that were given to the store, and are not on the disk yet.

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesOrdered, StreamExt as _};

use super::route::settle;
use crate::storage::Receipts;

/// Stanzas of one peer that were given to the store and are not on the disk yet, in their order. The peer need not wait
/// for each of them, so that one write to the disk is for many; it waits for the oldest when there are [`MOST`].
#[derive(Default)]
pub struct Unsettled(FuturesOrdered<BoxFuture<'static, ()>>);

impl Unsettled {
    /// Adds what was given to the store. Waits while there is too much already. `held` is dropped when this is on the
    /// disk, or could not be stored.
    pub async fn add<T: Send + 'static>(&mut self, receipts: Receipts, held: T) {
        if receipts.is_empty() {
            return;
        }
        self.0.push_back(settle(receipts).map(|()| drop(held)).boxed());
        while let Some(Some(())) = self.0.next().now_or_never() {}
        if self.0.len() >= MOST {
            self.next().await;
        }
    }

    /// Whether everything is settled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Waits until the oldest is settled. Nothing is lost if this is dropped.
    pub async fn next(&mut self) {
        self.0.next().await;
    }

    /// Waits until all are settled.
    pub async fn finish(mut self) {
        while !self.is_empty() {
            self.next().await;
        }
    }
}

/// Stanzas of one peer that may be unsettled.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use smallvec::smallvec;
    use tokio::sync::oneshot;

    use super::{MOST, Unsettled};
    use crate::storage::Receipt;

    #[tokio::test]
    async fn a_peer_waits_only_when_much_is_unsettled() {
        let (mut unsettled, held) = (Unsettled::default(), Arc::new(()));
        let mut disk = Vec::new();
        for _ in 1..MOST {
            let (done, receipt) = oneshot::channel();
            disk.push(done);
            // It does not wait.
            let receipts = smallvec![Receipt::waiting(receipt)];
            unsettled.add(receipts, Arc::clone(&held)).await;
        }
        assert_eq!(Arc::strong_count(&held), MOST);
        let (done, receipt) = oneshot::channel();
        {
            let adds = unsettled.add(smallvec![Receipt::waiting(receipt)], Arc::clone(&held));
            tokio::pin!(adds);
            assert!(futures_util::poll!(&mut adds).is_pending());
            disk.remove(0).send(Ok(())).unwrap();
            adds.await;
        }
        assert_eq!(Arc::strong_count(&held), MOST);
        for each in disk.into_iter().chain([done]) {
            each.send(Ok(())).unwrap();
        }
        unsettled.finish().await;
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
