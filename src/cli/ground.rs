//! What is taken from the ground floors: the lock and the storage.
// TODO(#2): the real ones, when they are there.

use std::sync::Arc;

use super::{Exit, Problem};
use crate::config::Config;
use crate::storage::Storage;
use crate::tasks::Tasks;

pub(super) struct Lock;

#[expect(clippy::unnecessary_wraps, reason = "stands for the real one")]
pub(super) fn lock(_: &Config) -> Result<Lock, Problem> {
    Ok(Lock)
}

pub(super) async fn open(_: &Config, _: &Tasks) -> Result<Arc<dyn Storage>, Problem> {
    Err(Problem::new(Exit::Failed, "no storage yet"))
}
