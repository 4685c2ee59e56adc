//! Stanzas that are being written, and those that the other server has not acknowledged (XEP-0198). If the stream ends,
//! they are sent again, or returned to their senders.

use std::collections::VecDeque;
use std::time::Duration;

use smol_str::SmolStr;
use tokio::time::{Instant, timeout_at};

use super::announced_limits::PeerLimits;
use super::bounce::bounce;
use super::failure::TOO_LARGE;
use super::link::{Link, Previous, Waiting};
use super::managed;
use crate::host::ServerState;
use crate::stanza::{Detail, MessageKind, Stanza, StreamCondition, StreamError};
use crate::stream::connection::Connection;
use crate::stream::exchange::Exchanged;

/// Stanzas that may be lost, each with the place at which it ends, in bytes since the connection began.
#[derive(Default)]
pub(super) struct OnItsWay {
    stanzas: VecDeque<(u64, Waiting)>,
    /// Bytes of these stanzas.
    bytes: usize,
    /// The other server acknowledges what it has handled.
    acks: Option<Box<Acks>>,
}

/// What the other server acknowledges.
struct Acks {
    /// Stanzas that end before this place are not counted.
    from: u64,
    /// How many were acknowledged. It wraps at 2^32.
    acked: u32,
    /// We have asked for more.
    asked: Option<Asked>,
    /// When it may be asked again: its last answer was nothing new.
    pause: Option<Instant>,
}

/// A question without an answer.
struct Asked {
    /// Where it ends, in bytes since the connection began.
    end: u64,
    /// When it was written.
    since: Option<Instant>,
}

impl OnItsWay {
    /// Counts what is sent from now on: the other server acknowledges it.
    pub(super) fn count_from_now(&mut self, connection: &Connection) {
        self.go_on_from(0, connection);
    }

    /// The same, on a stream that takes the place of another one, on which it has acknowledged `acked` stanzas.
    pub(super) fn go_on_from(&mut self, acked: u32, connection: &Connection) {
        let acks = Acks { from: connection.end(), acked, asked: None, pause: None };
        self.acks = Some(Box::new(acks));
    }

    /// Stops counting, because nothing is acknowledged: what is written counts as taken.
    pub(super) fn stop_counting(&mut self) {
        self.acks = None;
    }

    /// Whether the other server acknowledges what it handles.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.acks.is_some()
    }

    /// Takes stanzas of a link, if there is room for more. Stanzas that are too large for the other server are returned to
    /// their senders. Returns whether any was taken.
    pub(super) async fn take(
        &mut self,
        server: &ServerState,
        link: &Link,
        connection: &mut Connection,
        peer_limits: PeerLimits,
    ) -> bool {
        if !self.has_room(connection) {
            return false;
        }
        let (mut any, mut too_large) = (false, Vec::new());
        for waiting in link.take(AT_ONCE) {
            let before = connection.unwritten();
            connection.send_bytes(|out| waiting.stanza.write(None, out));
            if !peer_limits.allow(connection.unwritten() - before) {
                connection.send_bytes(|out| out.truncate(before));
                too_large.push(waiting);
                continue;
            }
            any = true;
            server.metrics.server_stanzas_out.of(waiting.stanza.name()).inc();
            self.bytes += waiting.stanza.size();
            self.stanzas.push_back((connection.end(), waiting));
        }
        if !too_large.is_empty() {
            Box::pin(bounce(server, too_large, TOO_LARGE)).await;
        }
        any
    }

    /// Whether there is room for more.
    pub(super) fn has_room(&self, connection: &Connection) -> bool {
        let is_full =
            self.acks.is_some() && (self.stanzas.len() >= MOST || self.bytes >= MOST_BYTES);
        connection.unwritten() < AT_ONCE && !is_full
    }

    /// Forgets stanzas that were written completely and need no acknowledgement. Returns whether there were any.
    pub(super) fn written(&mut self, connection: &Connection) -> bool {
        let from = self.acks.as_ref().map_or(u64::MAX, |acks| acks.from);
        let until = connection.written().min(from);
        let mut any = false;
        while self.stanzas.front().is_some_and(|(end, _)| *end <= until) {
            self.forget_first();
            any = true;
        }
        any
    }

    fn forget_first(&mut self) {
        if let Some((_, waiting)) = self.stanzas.pop_front() {
            self.bytes -= waiting.stanza.size();
        }
    }

    /// Notes that the other server has handled `h` stanzas. Returns whether that is new.
    ///
    /// # Errors
    /// If that is impossible: the stream ends (XEP-0198 §6).
    pub(super) fn acknowledged(
        &mut self,
        h: u32,
        connection: &Connection,
    ) -> Result<bool, StreamError> {
        self.written(connection);
        let Some(acks) = &mut self.acks else { return Ok(false) };
        let written = self.stanzas.iter().take_while(|(end, _)| *end <= connection.written());
        let (written, new) = (written.count(), h.wrapping_sub(acks.acked));
        if new as usize > written {
            let written = u32::try_from(written).unwrap_or(u32::MAX);
            let sent = acks.acked.wrapping_add(written);
            let detail = Some(Detail::HandledCountTooHigh { h, sent });
            return Err(StreamError { detail, ..StreamCondition::UndefinedCondition.into() });
        }
        acks.acked = h;
        acks.asked = None;
        acks.pause = (new == 0).then(|| Instant::now() + PAUSE);
        for _ in 0..new {
            self.forget_first();
        }
        Ok(new > 0)
    }

    /// Asks for acknowledgements, if something waits for one. `is_anyway`: asks in any case, to find out whether the other
    /// server is there.
    pub(super) fn ask(&mut self, connection: &mut Connection, is_anyway: bool) {
        let Some(acks) = &mut self.acks else { return };
        let is_early = acks.pause.is_some_and(|pause| pause > Instant::now());
        let is_due = self.stanzas.back().is_some_and(|(end, _)| *end > acks.from) && !is_early;
        if acks.asked.is_none() && (is_due || is_anyway) {
            connection.send(&managed::ask());
            acks.pause = None;
            acks.asked = Some(Asked { end: connection.end(), since: None });
        }
    }

    /// Whether the other server has not answered for longer than `limit`.
    pub(super) fn is_late(&mut self, connection: &Connection, limit: Duration) -> bool {
        let now = Instant::now();
        let asked = self.acks.as_mut().and_then(|acks| acks.asked.as_mut());
        asked.filter(|asked| asked.end <= connection.written()).is_some_and(|asked| {
            let since = *asked.since.get_or_insert(now);
            since + limit <= now
        })
    }

    /// When to look again: when it may be asked again, or when its answer is late.
    pub(super) fn wakes_at(&self, limit: Duration) -> Option<Instant> {
        let acks = self.acks.as_ref()?;
        let late = acks.asked.as_ref().and_then(|asked| asked.since).map(|since| since + limit);
        late.or_else(|| acks.pause.filter(|pause| *pause > Instant::now()))
    }

    /// What is known for the stream after this one, which has this id, if its stanzas are counted: how many were acknowledged, and
    /// how many were written whole and were not. `heard`: how many stanzas of the other server have come on it.
    pub(super) fn previous(
        &self,
        id: &SmolStr,
        heard: u32,
        connection: &Connection,
    ) -> Option<Previous> {
        let acks = self.acks.as_ref()?;
        let written = self.stanzas.iter().take_while(|(end, _)| *end <= connection.written());
        let (id, acked, unacked) = (id.clone(), acks.acked, written.count());
        let previous = Previous { id, acked, unacked, heard };
        Some(previous).filter(|previous| previous.unacked > 0)
    }

    /// Whether nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.stanzas.is_empty()
    }

    /// Whether a stanza was written only in part: then nothing else may be written.
    pub(super) fn is_cut(&self, connection: &Connection) -> bool {
        !self.stanzas.is_empty() && !connection.is_written()
    }

    /// Takes out what the other server has not taken or not acknowledged, because the stream ends.
    pub(super) fn rest(&mut self) -> Vec<Waiting> {
        self.bytes = 0;
        std::mem::take(&mut self.stanzas).into_iter().map(|(_, waiting)| waiting).collect()
    }

    /// The stream has ended, and the other server will not tell how much it has handled. It may have what was written whole: what
    /// must not come twice, messages and requests of users, is taken out, and goes back to them. Presence, and what rooms and
    /// other services send, is sent again: it says the same twice, or clients know it by its id.
    pub(super) fn take_doubtful(
        &mut self,
        server: &ServerState,
        connection: &Connection,
    ) -> Vec<Waiting> {
        if self.acks.is_none() {
            return Vec::new();
        }
        self.written(connection);
        let all = std::mem::take(&mut self.stanzas).into_iter();
        let (doubtful, rest) = all.partition(|(end, waiting): &(u64, Waiting)| {
            *end <= connection.written() && is_once_only(server, &waiting.stanza)
        });
        self.stanzas = rest;
        let doubtful: VecDeque<(u64, Waiting)> = doubtful;
        doubtful.into_iter().map(|(_, waiting)| waiting).collect()
    }

    /// Writes what has begun before the stream ends, as far as the other server reads within [`LAST_MOMENT`]. Returns whether
    /// any was taken.
    pub(super) async fn settle(&mut self, connection: &mut Connection) -> bool {
        let until = Instant::now() + LAST_MOMENT;
        while self.is_cut(connection) {
            let done = timeout_at(until, connection.exchange_if(false)).await;
            if done != Ok(Exchanged::Written) {
                break;
            }
        }
        self.written(connection)
    }
}

/// Whether it would do harm if it came twice.
pub(super) fn is_once_only(server: &ServerState, stanza: &Stanza) -> bool {
    let from = stanza.head().from.as_ref().filter(|from| from.local().is_some());
    let is_of_user = || from.is_some_and(|from| server.host(from.domain()).is_some());
    // A gateway has users, too, in the name of others.
    let is_of_component =
        || from.is_some_and(|from| server.config.load().component(from.domain()).is_some());
    match stanza {
        Stanza::Iq(iq) => iq.is_request() && (is_of_user() || is_of_component()),
        Stanza::Message(message) => match message.kind {
            MessageKind::Chat | MessageKind::Normal => is_of_user() || is_of_component(),
            // That of a component is one of its rooms: an error for it would throw an occupant out.
            MessageKind::Groupchat => is_of_user(),
            MessageKind::Error | MessageKind::Headline => false,
        },
        Stanza::Presence(_) => false,
    }
}

/// How many bytes are made ready at once.
const AT_ONCE: usize = 64 * 1024;
/// How long the last writing may take at the end of a stream, and when the server ends.
pub(super) const LAST_MOMENT: Duration = Duration::from_secs(2);
/// How many stanzas may wait for an acknowledgement.
const MOST: usize = 1000;
/// How many bytes these may have.
const MOST_BYTES: usize = 4 << 20;
/// The pause after an answer that was nothing new.
const PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::host::{Parts, SharedStates};
    use crate::xml::{Frame, Limits, Scope};

    #[tokio::test]
    async fn what_users_and_those_of_gateways_send_must_not_come_twice() {
        let config = "[[host]]\ndomain = 'a.example'\n\
                      [[component]]\ndomain = 'irc.a.example'\nsecret = 'secret'\n";
        let config = Config::parse(config, "the test").unwrap();
        let parts = Parts { config, ..Parts::for_tests(&["a.example"]) };
        let server = ServerState::new(parts, &[], SharedStates::default()).unwrap();
        let is_once_only = |stanza: &str, from: &str| {
            let (name, kind) = stanza.split_once(' ').unwrap();
            let text = format!(
                "<{name} xmlns='jabber:client' type='{kind}' id='1' from='{from}' to='x@c.example'>\
                 <a xmlns='urn:a'/></{name}>"
            );
            let limits = Limits { bytes: 1000, depth: 9, attributes: 9, nodes: 9 };
            let frame = Frame::parse(text.into(), &Scope::none(), &limits).unwrap();
            is_once_only(&server, &Stanza::read(frame).ok().unwrap())
        };
        for stanza in ["message chat", "message normal", "iq get", "iq set"] {
            assert!(is_once_only(stanza, "romeo@a.example/r"), "{stanza}");
            assert!(is_once_only(stanza, "nurse@irc.a.example"), "{stanza}");
            assert!(!is_once_only(stanza, "irc.a.example"), "{stanza}");
            assert!(!is_once_only(stanza, "hall@conference.a.example/nurse"), "{stanza}");
        }
        assert!(is_once_only("message groupchat", "romeo@a.example/r"));
        assert!(!is_once_only("message groupchat", "hall@irc.a.example/nurse"));
        for stanza in ["message error", "message headline", "iq result", "presence unavailable"] {
            assert!(!is_once_only(stanza, "romeo@a.example/r"), "{stanza}");
        }
    }
}
