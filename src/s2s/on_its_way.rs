//! Stanzas that are being written: those that were not written to their end are sent again, or go back.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::bounce::bounce;
use super::failure::TOO_LARGE;
use super::link::{Link, Waiting};
use super::told::Takes;
use crate::host::ServerState;
use crate::stream::connection::Connection;
use crate::stream::exchange::Exchanged;

/// Stanzas that are being written, each with the place at which it ends, in bytes since the connection began.
#[derive(Default)]
pub(super) struct OnItsWay {
    stanzas: VecDeque<(u64, Waiting)>,
}

/// What was taken.
#[derive(Default)]
pub(super) struct Taken {
    /// Whether there was any.
    pub(super) any: bool,
    /// What is larger than the other server takes: it goes back.
    pub(super) too_large: Vec<Waiting>,
}

impl OnItsWay {
    /// Takes stanzas of a link, if there is room for more.
    pub(super) fn take(
        &mut self,
        server: &ServerState,
        link: &Link,
        connection: &mut Connection,
        takes: Takes,
    ) -> Taken {
        let mut taken = Taken::default();
        if !has_room(connection) {
            return taken;
        }
        for waiting in link.take(AT_ONCE) {
            let before = connection.unwritten();
            connection.send_bytes(|out| waiting.stanza.write(None, out));
            if !takes.takes(connection.unwritten() - before) {
                connection.send_bytes(|out| out.truncate(before));
                taken.too_large.push(waiting);
                continue;
            }
            taken.any = true;
            server.metrics.server_stanzas_out.of(waiting.stanza.name()).inc();
            self.stanzas.push_back((connection.end(), waiting));
        }
        taken
    }

    /// Forgets what was written to its end. Whether there was any.
    pub(super) fn written(&mut self, connection: &Connection) -> bool {
        let mut any = false;
        while self.stanzas.front().is_some_and(|(end, _)| *end <= connection.written()) {
            self.stanzas.pop_front();
            any = true;
        }
        any
    }

    /// Nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.stanzas.is_empty()
    }

    /// The connection is lost: returns what was not written to its end.
    pub(super) fn rest(self) -> Vec<Waiting> {
        self.stanzas.into_iter().map(|(_, waiting)| waiting).collect()
    }

    /// The stream ends: writes what has begun, as far as the other server reads in a moment. Returns what was not written
    /// to its end: the other server has not taken it, and it must not be written any more.
    pub(super) async fn settle(mut self, connection: &mut Connection) -> Vec<Waiting> {
        let until = Instant::now() + LAST_MOMENT;
        while !self.stanzas.is_empty() && !connection.is_written() {
            let written = timeout_at(until, connection.exchange_if(false)).await;
            self.written(connection);
            if written != Ok(Exchanged::Written) {
                break;
            }
        }
        self.written(connection);
        self.rest()
    }

    /// The server ends: takes and writes all that waits, as far as the other server reads in a moment.
    pub(super) async fn finish(
        &mut self,
        server: &ServerState,
        link: &Link,
        connection: &mut Connection,
        takes: Takes,
    ) {
        let until = Instant::now() + LAST_MOMENT;
        loop {
            let taken = self.take(server, link, connection, takes);
            if !taken.too_large.is_empty() {
                Box::pin(bounce(server, taken.too_large, TOO_LARGE)).await;
            }
            if connection.is_written() && link.waiting() == 0 {
                return;
            }
            let written = timeout_at(until, connection.exchange_if(false)).await;
            self.written(connection);
            if written != Ok(Exchanged::Written) {
                return;
            }
        }
    }
}

/// Whether more is to be made ready.
pub(super) fn has_room(connection: &Connection) -> bool {
    connection.unwritten() < AT_ONCE
}

/// Bytes that are made ready at once.
const AT_ONCE: usize = 64 * 1024;
/// For what is written at the end of a stream.
const LAST_MOMENT: Duration = Duration::from_secs(2);
