//! Time that passes in a test whose clock is paused. Nobody waits for it: the clock jumps when all tasks wait, and each
//! timer in between goes off in its turn.

use std::time::Duration;

/// Lets this time pass.
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
