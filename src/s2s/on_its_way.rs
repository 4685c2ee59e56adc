//! Stanzas that are being written: those that were not written to their end are sent again, or go back.

use std::collections::VecDeque;

use super::link::{Link, Waiting};
use crate::host::ServerState;
use crate::stream::connection::Connection;

/// Stanzas that are being written, with their sizes as they are written.
#[derive(Default)]
pub(super) struct OnItsWay {
    stanzas: VecDeque<(usize, Waiting)>,
    bytes: usize,
}

impl OnItsWay {
    /// Takes stanzas of a link, if there is room for more. Whether there was any.
    pub(super) fn take(
        &mut self,
        server: &ServerState,
        link: &Link,
        connection: &mut Connection,
    ) -> bool {
        if !has_room(connection) {
            return false;
        }
        let taken = link.take(AT_ONCE);
        let any = !taken.is_empty();
        for waiting in taken {
            server.metrics.server_stanzas_out.of(waiting.stanza.name()).inc();
            let before = connection.unwritten();
            connection.send_bytes(|out| waiting.stanza.write(None, out));
            let size = connection.unwritten() - before;
            self.bytes += size;
            self.stanzas.push_back((size, waiting));
        }
        any
    }

    /// So many bytes are left to be written.
    pub(super) fn written(&mut self, left: usize) {
        while let Some((size, _)) = self.stanzas.front()
            && self.bytes - size >= left
        {
            self.bytes -= size;
            self.stanzas.pop_front();
        }
    }

    /// What was not written to its end. The other server has not taken it.
    pub(super) fn rest(self) -> Vec<Waiting> {
        self.stanzas.into_iter().map(|(_, waiting)| waiting).collect()
    }
}

/// Whether more is to be made ready.
pub(super) fn has_room(connection: &Connection) -> bool {
    connection.unwritten() < AT_ONCE
}

/// Bytes that are made ready at once.
const AT_ONCE: usize = 64 * 1024;
