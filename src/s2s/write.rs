//! Writes the stanzas of a link on its stream, and reads what the other server says there: with a bidirectional stream
//! (XEP-0288), its stanzas.

use tokio::time::{Instant, sleep_until};

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
    /// In good order.
    Closed,
    /// By us: nothing was to be sent.
    Idle,
    /// Without a word, or the other server does not read.
    Lost,
    /// It was closed before anything was sent on it, although something waited.
    Useless,
}

impl Ended {
    pub(super) fn word(self) -> &'static str {
        match self {
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
    let stopping = server.tasks.stopping();
    let config = server.config.load_full();
    let (idle, limit) = (config.s2s.idle, config.limits.write);
    let mut lanes = None;
    let mut on_its_way = OnItsWay::default();
    let mut sent_any = false;
    let (mut idle_at, mut stalls_at) = (Instant::now() + idle, Instant::now() + limit);
    let (ended, error) = loop {
        match hear(servers, link, &mut connection, &mut machine, &mut lanes).await {
            None => {}
            Some(error) if sent_any => break (Ended::Closed, error),
            Some(error) => break (Ended::Useless, error),
        }
        let was_written = connection.is_written();
        if on_its_way.take(server, link, &mut connection) {
            idle_at = Instant::now() + idle;
        }
        if was_written {
            stalls_at = Instant::now() + limit;
        }
        let (has_room, before) = (has_room(&connection), connection.unwritten());
        let timer = if connection.is_written() { idle_at } else { stalls_at };
        tokio::select! {
            biased;
            () = stopping.cancelled() => {
                break (Ended::Closed, Some(StreamCondition::SystemShutdown.into()));
            }
            () = link.to_end() => break (Ended::Closed, None),
            done = connection.exchange() => match done {
                Exchanged::Lost if sent_any => break (Ended::Lost, None),
                Exchanged::Lost => break (Ended::Useless, None),
                Exchanged::Read(_) => {
                    if machine.is_bidirectional() {
                        idle_at = Instant::now() + idle;
                    }
                }
                Exchanged::Written => {}
            },
            () = link.filled(), if has_room => {}
            () = sleep_until(timer) => match connection.is_written() {
                true => break (Ended::Idle, None),
                false => break (Ended::Lost, None),
            }
        }
        if connection.unwritten() < before {
            sent_any = true;
            stalls_at = Instant::now() + limit;
            on_its_way.written(connection.unwritten());
        }
    };
    link.put_back(on_its_way.rest());
    link.set_opened(None);
    if let Some(lanes) = lanes {
        lanes.finish().await;
    }
    if ended != Ended::Lost {
        connection.close(error, &link.pair.local).await;
    }
    match ended {
        // Nothing waits: it is no fault to close an unused stream.
        Ended::Useless if link.waiting() == 0 => Ended::Closed,
        ended => ended,
    }
}

/// Reads what has come. `Some` when the stream is to end, with the error if there is one.
async fn hear(
    servers: &Servers,
    link: &Link,
    connection: &mut Connection,
    machine: &mut Outgoing,
    lanes: &mut Option<Box<Lanes>>,
) -> Option<Option<StreamError>> {
    loop {
        let actions = match connection.input.next_event() {
            Ok(None) => return None,
            Ok(Some(StreamEvent::Header(header))) => machine.header(&header),
            Ok(Some(StreamEvent::Element(frame))) => machine.element(frame),
            Ok(Some(StreamEvent::End)) => machine.ended(),
            Err(error) => machine.broken(error.into()),
        };
        for action in actions {
            match action {
                Action::Send(node) => connection.send(&node),
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
