//! Time that passes in a test whose clock is paused. Nobody waits for it: the clock jumps when all tasks wait.

use std::time::Duration;

/// So much time passes.
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
