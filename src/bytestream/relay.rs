//! Relays the bytes of a bytestream, at the pace of the slower side and of its budgets.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};

use crate::limit::{Action, Share};

/// What both directions have in common.
#[derive(Default)]
pub(super) struct Progress {
    has_moved: AtomicBool,
    /// Bytes in both directions.
    pub(super) bytes: AtomicU64,
}

/// Relays until both sides have ended, one of them fails, or nothing moves for `silence`. `shares` are the budgets of
/// what comes from `a`, and of what comes from `b`.
pub(super) async fn relay(
    a: impl AsyncRead + AsyncWrite,
    b: impl AsyncRead + AsyncWrite,
    shares: [Share; 2],
    silence: Duration,
    progress: &Progress,
) {
    let (mut from_a, mut to_a) = split(a);
    let (mut from_b, mut to_b) = split(b);
    let [of_a, of_b] = &shares;
    let both = async {
        tokio::try_join!(
            copy(&mut from_a, &mut to_b, of_a, progress),
            copy(&mut from_b, &mut to_a, of_b, progress),
        )
    };
    let quiet = async {
        loop {
            tokio::time::sleep(silence).await;
            if !progress.has_moved.swap(false, Ordering::Relaxed) {
                return;
            }
        }
    };
    tokio::select! {
        done = both => {
            if let Err(error) = done {
                tracing::debug!(%error, "a bytestream has failed");
            }
        }
        () = quiet => tracing::debug!("nothing has moved in a bytestream"),
    }
}

/// Copies one direction. At its end, the other side is told that nothing more comes; it may still send.
async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    share: &Share,
    progress: &Progress,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        if let Some(wait) = share.take(count as u64) {
            share.count(wait.scope, Action::Delay);
            tokio::time::sleep(wait.time).await;
        }
        to.write_all(&buffer[..count]).await?;
        progress.has_moved.store(true, Ordering::Relaxed);
        progress.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// The size of the buffer for each direction.
const BUFFER: usize = 32 * 1024;
