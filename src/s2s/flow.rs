//! The time limits of a stream: whether its peer reads what we write, whether we read more from it now, and whether it
//! continues a stanza that it has begun.

use std::time::Duration;

use tokio::time::Instant;

use crate::limit::{Action, Share};
use crate::stream::connection::Connection;
use crate::xml::Node;

/// The flow of one stream.
pub(super) struct Flow {
    /// How long there may be no progress.
    limit: Duration,
    /// How much had been written when there was progress last.
    written: u64,
    /// The time of this progress, or the last time when nothing was to be written.
    progress: Instant,
    /// When something was read last.
    heard: Instant,
    /// Bytes of answers that wait to be written, and where the last one ends.
    answers: (usize, u64),
    /// The peer has sent too much: when reading goes on.
    read_at: Option<Instant>,
    /// What the domain may send.
    share: Option<Share>,
}

impl Flow {
    /// Without progress for `limit`, a stream counts as lost.
    pub(super) fn new(limit: Duration) -> Self {
        let now = Instant::now();
        Self {
            limit,
            written: 0,
            progress: now,
            heard: now,
            answers: (0, 0),
            read_at: None,
            share: None,
        }
    }

    /// Counts what is read from now on for this share.
    pub(super) fn set_share(&mut self, share: impl FnOnce() -> Share) {
        self.share.get_or_insert_with(share);
    }

    /// Sends an answer that the peer has asked for.
    pub(super) fn answer(&mut self, connection: &mut Connection, node: &Node) {
        let before = connection.unwritten();
        connection.send(node);
        if connection.written() >= self.answers.1 {
            self.answers.0 = 0;
        }
        self.answers = (self.answers.0 + connection.unwritten() - before, connection.end());
    }

    /// Notes that `bytes` were read.
    pub(super) fn read(&mut self, bytes: usize) {
        self.heard = Instant::now();
        let wait = self.share.as_ref().and_then(|share| {
            let wait = share.take(bytes as u64)?;
            share.count(wait.scope, Action::Delay);
            Some(wait.time.min(LONGEST_PAUSE))
        });
        self.read_at = wait.map(|wait| self.heard + wait);
    }

    /// Notes what was written. Call it before and after each exchange.
    pub(super) fn note(&mut self, connection: &Connection) {
        if connection.is_written() || connection.written() > self.written {
            self.written = connection.written();
            self.progress = Instant::now();
        }
    }

    /// Whether to read more now. A peer that asks and does not read the answers would fill the memory, and a domain that
    /// sends too much must wait. As long as we do not read, TCP makes both wait.
    pub(super) fn may_read(&self, connection: &Connection) -> bool {
        let (answers, end) = self.answers;
        (answers < MOST_ANSWERS || connection.written() >= end)
            && self.read_at.is_none_or(|at| at <= Instant::now())
    }

    /// When to look at the stream again: `at` at the latest.
    pub(super) fn wakes_at(&self, connection: &Connection, at: Instant) -> Instant {
        let now = Instant::now();
        let pause = self.read_at.filter(|at| *at > now);
        [self.stalls_at(connection), self.breaks_at(connection), pause]
            .into_iter()
            .flatten()
            .fold(at, Instant::min)
    }

    /// Whether the peer does not read.
    pub(super) fn is_stalled(&self, connection: &Connection) -> bool {
        self.stalls_at(connection).is_some_and(|at| at <= Instant::now())
    }

    /// Whether the peer has sent a part of a stanza, and nothing since.
    pub(super) fn is_broken(&self, connection: &Connection) -> bool {
        self.breaks_at(connection).is_some_and(|at| at <= Instant::now())
    }

    fn stalls_at(&self, connection: &Connection) -> Option<Instant> {
        (!connection.is_written()).then(|| self.progress + self.limit)
    }

    fn breaks_at(&self, connection: &Connection) -> Option<Instant> {
        let is_due = connection.input.is_within() && self.may_read(connection);
        is_due.then(|| self.read_at.map_or(self.heard, |at| at.max(self.heard)) + self.limit)
    }
}

/// If more bytes of answers than this wait to be written, nothing is read. The peer has asked for them.
const MOST_ANSWERS: usize = 64 * 1024;
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::time::advance;

    use super::*;
    use crate::stream::channel::Channel;
    use crate::stream::exchange::Exchanged;
    use crate::stream::wire::Wire;
    use crate::xml::{Limits, element};

    const LIMIT: Duration = Duration::from_secs(30);

    fn connection() -> (Connection, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(8);
        let limits = Limits { bytes: 100, depth: 9, attributes: 9, nodes: 99 };
        let channel = Channel::Tcp(Wire::Plain(Box::new(ours)));
        (Connection::new(channel, ([127, 0, 0, 1], 0).into(), limits, LIMIT), theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn reading_is_no_progress_of_writing() {
        let (mut connection, mut theirs) = connection();
        let mut flow = Flow::new(LIMIT);
        connection.send_bytes(|out| out.extend_from_slice(&[b'x'; 24]));
        assert_eq!(connection.exchange().await, Exchanged::Written);
        flow.note(&connection);
        for _ in 0..2 {
            advance(LIMIT / 3).await;
            assert!(!flow.is_stalled(&connection));
            theirs.write_all(b" ").await.unwrap();
            assert_eq!(connection.exchange().await, Exchanged::Read(1));
            flow.read(1);
            flow.note(&connection);
        }
        advance(LIMIT / 3).await;
        assert!(flow.is_stalled(&connection));
        theirs.read_exact(&mut [0; 8]).await.unwrap();
        assert_eq!(connection.exchange().await, Exchanged::Written);
        flow.note(&connection);
        assert!(!flow.is_stalled(&connection));
        assert_eq!(flow.stalls_at(&connection), Some(Instant::now() + LIMIT));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_the_answers_is_asked_no_more() {
        let (mut connection, mut theirs) = connection();
        let mut flow = Flow::new(LIMIT);
        // Only answers stop the reading: both sides may have many stanzas to write.
        connection.send_bytes(|out| out.extend_from_slice(&[b'x'; 2 * MOST_ANSWERS]));
        assert!(flow.may_read(&connection));
        let answer = element("a").text(&"x".repeat(MOST_ANSWERS / 4));
        for _ in 0..4 {
            assert!(flow.may_read(&connection));
            flow.answer(&mut connection, &answer);
        }
        assert!(!flow.may_read(&connection));
        let read = async {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).await.unwrap();
        };
        let write = async {
            while !flow.may_read(&connection) {
                assert_eq!(connection.exchange_if(false).await, Exchanged::Written);
            }
            assert!(connection.is_written());
            drop(connection);
        };
        tokio::join!(read, write);
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_stanza_does_not_wait_for_ever() {
        let (mut connection, mut theirs) = connection();
        let mut flow = Flow::new(LIMIT);
        theirs.write_all(b"<a").await.unwrap();
        assert_eq!(connection.exchange().await, Exchanged::Read(2));
        flow.read(2);
        assert!(connection.input.next_event().unwrap().is_none());
        advance(LIMIT / 2).await;
        assert!(!flow.is_broken(&connection));
        advance(LIMIT / 2).await;
        assert!(flow.is_broken(&connection) && !flow.is_stalled(&connection));
    }
}
