//! Writes the stanzas of a link on its stream, and reads what the other server says there: with a bidirectional stream
//! (XEP-0288), its stanzas.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::bounce::bounce;
use super::failure::{TOO_LARGE, log_error_of_peer};
use super::flow::Flow;
use super::incoming::Lanes;
use super::link::Link;
use super::on_its_way::{OnItsWay, has_room};
use super::outgoing::{Action, Opened, Outgoing};
use super::servers::Servers;
use crate::stanza::{StreamCondition, StreamError};
use crate::stream::connection::Connection;
use crate::stream::exchange::Exchanged;
use crate::stream::input::StreamEvent;

/// How a stream has ended. Of what was written, all but the last was taken by the other machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// An administrator has asked for it.
    Asked,
    /// In good order.
    Closed,
    /// By us: nothing was to be sent.
    Idle,
    /// Without a word, or the other server does not read.
    Lost,
    /// It was closed before a whole stanza was sent on it, although one waited.
    Useless,
}

impl Ended {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Closed => "closed",
            Self::Idle => "idle",
            Self::Lost => "lost",
            Self::Useless => "useless",
        }
    }
}

/// Writes what waits until the stream ends. What is not written then waits again.
#[expect(clippy::too_many_lines, reason = "one loop, and what comes after it")]
pub(super) async fn write(servers: &Servers, link: &Link, opened: Opened) -> Ended {
    let Opened { mut connection, mut machine, .. } = opened;
    let server = servers.server();
    let ending = server.tasks.ending();
    let config = server.config.load_full();
    let takes = machine.takes();
    // A stream is closed before the other server may find it idle: what is sent at that moment would be lost.
    let earlier = takes.idle.map(|idle| (idle * 9 / 10).max(SHORTEST_IDLE));
    let idle = earlier.map_or(config.s2s.idle, |earlier| config.s2s.idle.min(earlier));
    let mut flow = Flow::new(config.limits.write);
    flow.set_share(|| server.budgets.remote_traffic.share(Some(&link.pair.remote), None));
    let mut lanes = None;
    let mut on_its_way = OnItsWay::default();
    // A whole stanza was sent.
    let mut sent_any = false;
    let mut idle_at = Instant::now() + idle;
    let (ended, error) = loop {
        flow.note(&connection);
        match hear(servers, link, &mut connection, &mut machine, &mut flow, &mut lanes).await {
            None => {}
            Some(error) => break (Ended::Closed, error),
        }
        let taken = on_its_way.take(server, link, &mut connection, takes);
        if taken.any {
            idle_at = Instant::now() + idle;
        }
        if !taken.too_large.is_empty() {
            Box::pin(bounce(server, taken.too_large, TOO_LARGE)).await;
        }
        let has_room = has_room(&connection);
        let idles_at = if connection.is_written() { idle_at } else { Instant::now() + idle };
        let wakes_at = flow.wakes_at(&connection, idles_at);
        let may_read = flow.may_read(&connection);
        tokio::select! {
            biased;
            () = ending.cancelled() => {
                on_its_way.finish(server, link, &mut connection, takes).await;
                break (Ended::Closed, Some(StreamCondition::SystemShutdown.into()));
            }
            () = link.to_end() => break (Ended::Asked, None),
            done = connection.exchange_if(may_read) => match done {
                Exchanged::Lost => break (Ended::Lost, None),
                Exchanged::Read(count) => {
                    server.metrics.server_bytes_in.inc_by(count as u64);
                    flow.read(count);
                    if machine.is_bidirectional() {
                        idle_at = Instant::now() + idle;
                    }
                }
                Exchanged::Written => {}
            },
            () = link.filled(), if has_room => {}
            () = sleep_until(wakes_at) => {
                if flow.is_stalled(&connection) {
                    break (Ended::Lost, None);
                }
                if flow.is_broken(&connection) {
                    break (Ended::Closed, Some(StreamCondition::ConnectionTimeout.into()));
                }
                if connection.is_written() && idle_at <= Instant::now() {
                    break (Ended::Idle, None);
                }
            }
        }
        sent_any |= on_its_way.written(&connection);
    };
    let had_any = !on_its_way.is_empty();
    let unsent = match ended {
        Ended::Lost => on_its_way.rest(),
        _ => on_its_way.settle(&mut connection).await,
    };
    sent_any |= had_any && unsent.is_empty();
    let is_cut = !unsent.is_empty();
    link.put_back(unsent);
    link.set_opened(None);
    if matches!(ended, Ended::Asked | Ended::Idle) && machine.is_bidirectional() && !is_cut {
        hear_out(servers, link, &mut connection, &mut machine, &mut flow, &mut lanes).await;
    }
    if let Some(lanes) = lanes {
        lanes.finish().await;
    }
    // What it has not taken is sent again: it must not be written any more.
    if ended != Ended::Lost && !is_cut {
        connection.close(error, &link.pair.local).await;
    }
    match ended {
        // Nothing waits: it is no fault to close an unused stream.
        Ended::Closed | Ended::Lost if !sent_any && link.waiting() > 0 => Ended::Useless,
        ended => ended,
    }
}

/// We end the stream. What the other server says until it ends its own is carried (RFC 6120 §4.4).
async fn hear_out(
    servers: &Servers,
    link: &Link,
    connection: &mut Connection,
    machine: &mut Outgoing,
    flow: &mut Flow,
    lanes: &mut Option<Box<Lanes>>,
) {
    connection.end_ours();
    machine.leave();
    let until = Instant::now() + LAST_WORDS;
    let to_the_end = async {
        while hear(servers, link, connection, machine, flow, lanes).await.is_none() {
            if connection.exchange().await == Exchanged::Lost {
                return;
            }
        }
    };
    drop(timeout_at(until, to_the_end).await);
}

/// Reads what has come. `Some` when the stream is to end, with the error if there is one.
async fn hear(
    servers: &Servers,
    link: &Link,
    connection: &mut Connection,
    machine: &mut Outgoing,
    flow: &mut Flow,
    lanes: &mut Option<Box<Lanes>>,
) -> Option<Option<StreamError>> {
    loop {
        let actions = match connection.input.next_event() {
            Ok(None) => return None,
            Ok(Some(StreamEvent::Header(header))) => machine.header(&header),
            Ok(Some(StreamEvent::Element(frame))) => {
                log_error_of_peer(&frame, Some(&link.pair.remote), connection.peer);
                machine.element(frame)
            }
            Ok(Some(StreamEvent::End)) => machine.ended(),
            Err(error) => machine.broken(error.into()),
        };
        for action in actions {
            match action {
                Action::Send(node) => flow.answer(connection, &node),
                Action::Close(error) => return Some(error),
                Action::Fail(_) => return Some(None),
                Action::Stanza(frame) => {
                    let lanes = lanes.get_or_insert_with(|| {
                        Box::new(Lanes::new(std::sync::Arc::clone(&servers.router)))
                    });
                    let (domain, lang) = (link.pair.remote.clone(), connection.input.lang());
                    if let Err(error) = Box::pin(lanes.read(domain, frame, lang)).await {
                        return Some(Some(error));
                    }
                }
                Action::Open(_)
                | Action::Secure
                | Action::Restart
                | Action::Ready
                | Action::Seen(_)
                | Action::Answered(_) => {}
            }
        }
    }
}

/// Whatever the other server says, a stream is not closed before.
const SHORTEST_IDLE: Duration = Duration::from_secs(10);
/// For what the other server says after we have ended our stream.
const LAST_WORDS: Duration = Duration::from_secs(2);
