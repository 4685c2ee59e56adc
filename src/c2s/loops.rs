//! What the loops of one connection share.

use std::time::Duration;

use super::loop_shutdown::LoopShutdown;
use super::pending_acks::PendingAcks;
use crate::config::LimitsConfig;
use crate::host::ServerState;
use crate::router::Router;
use crate::session::Session;
use crate::stream::channel::SharedChannel;
use crate::stream::framing::Framing;

/// What the loops of one connection share. They hold a reference to it, and not its parts: most
/// connections are idle, and their loops must be small.
pub(super) struct Loops<'a> {
    /// Carries the stanzas of the client.
    pub(super) router: &'a Router,
    pub(super) server: &'a ServerState,
    pub(super) session: &'a Session,
    pub(super) limits: &'a LimitsConfig,
    pub(super) channel: &'a SharedChannel,
    /// How stanzas are written to the channel.
    pub(super) framing: Framing,
    /// How long a write may make no progress.
    pub(super) write_limit: Duration,
    /// What the client has sent and the disk does not have yet.
    pub(super) pending: &'a PendingAcks,
    /// Tells the loops to stop.
    pub(super) stop: &'a LoopShutdown,
}
