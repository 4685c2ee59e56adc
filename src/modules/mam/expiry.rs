//! Deletes messages from archives: those that are too old, and those beyond the limit (XEP-0313 §3.2).
//!
//! It works in small steps with pauses, so that it does not slow down the server. The same task deletes
//! the counts of sessions that ended a week ago (XEP-0198 §5).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::archive::retention::Limits;
use crate::config::ArchiveConfig;
use crate::host::ServerState;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{Result, Storage};
use crate::xml::Frame;

/// Runs a minute after the start, and then every hour, until the server stops.
pub(super) async fn run(server: Arc<ServerState>) {
    let stopping = server.tasks.stopping();
    let mut pause = SOON;
    while rest(&stopping, pause).await {
        if let Err(error) = round(&server, &stopping).await {
            tracing::error!(%error, "cannot remove old messages");
        }
        pause = HOUR;
    }
}

/// How long messages of this account are kept, and whether that was set for this account alone.
///
/// # Errors
/// If the store fails.
pub async fn limits(
    storage: &dyn Storage,
    config: &ArchiveConfig,
    user: &BareJid,
) -> Result<(Limits, bool)> {
    if let Some(xml) = storage.documents().get(user, KIND, "").await? {
        match Frame::from_bytes(xml).ok().and_then(|frame| Limits::read(&frame.root())) {
            Some(limits) => return Ok((limits, true)),
            None => tracing::error!(jid = %user, "stored archive limits are damaged"),
        }
    }
    Ok((Limits::new(config.age, config.messages), false))
}

/// Sets how long messages of this account are kept. `None`: as the configuration says.
///
/// # Errors
/// If the store fails.
pub async fn set_limits(
    storage: &dyn Storage,
    user: &BareJid,
    limits: Option<Limits>,
) -> Result<()> {
    let documents = storage.documents();
    match limits {
        None => documents.remove(user, KIND, "").await.map(drop),
        Some(limits) => {
            let xml = limits.to_node().to_xml();
            documents.put(user, KIND, "", &xml).await
        }
    }
}

async fn round(server: &ServerState, stopping: &CancellationToken) -> Result<()> {
    let archive = server.storage.archive();
    let (mut after, mut forgotten) = (None, 0);
    loop {
        let owners = archive.owners(after.as_ref(), OWNERS).await?;
        let Some(last) = owners.last() else { break };
        for owner in &owners {
            forgotten += of_one(server, stopping, owner).await?;
        }
        after = Some(last.clone());
        if !rest(stopping, PAUSE).await {
            return Ok(());
        }
    }
    let sessions = of_sessions(server, stopping).await?;
    if forgotten > 0 || sessions > 0 {
        tracing::info!(messages = forgotten, sessions, "removed old messages and ended sessions");
    }
    Ok(())
}

/// Returns how many messages were deleted.
async fn of_one(
    server: &ServerState,
    stopping: &CancellationToken,
    owner: &BareJid,
) -> Result<u64> {
    let config = server.config.load_full();
    let (limits, _) = limits(&*server.storage, &config.archive, owner).await?;
    let mut forgotten = 0;
    while !limits.is_none() && !stopping.is_cancelled() {
        let begun = Instant::now();
        match server.storage.archive().expire(owner, limits.at(server.clock.now())).await? {
            0 => break,
            some => forgotten += some,
        }
        // The pause is as long as the step: half of the time is for the others.
        rest(stopping, begun.elapsed().max(PAUSE)).await;
    }
    Ok(forgotten)
}

/// Returns how many sessions were deleted.
async fn of_sessions(server: &ServerState, stopping: &CancellationToken) -> Result<u64> {
    let week_ago = server.clock.now().as_micros() - WEEK.as_micros() as i64;
    let mut forgotten = 0;
    loop {
        match server.storage.resumption().expire(Timestamp::from_micros(week_ago)).await? {
            0 => break Ok(forgotten),
            some => forgotten += some,
        }
        if !rest(stopping, PAUSE).await {
            break Ok(forgotten);
        }
    }
}

/// Waits. `false` if the server stops meanwhile.
async fn rest(stopping: &CancellationToken, pause: Duration) -> bool {
    stopping.run_until_cancelled(sleep(pause)).await.is_some()
}

const KIND: &str = "archive-retention";
/// Archives between two pauses.
const OWNERS: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);
const SOON: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
