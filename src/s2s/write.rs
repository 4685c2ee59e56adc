//! Writes the stanzas of a link on its stream, and reads what the other server says there: with a bidirectional stream
//! (XEP-0288), its stanzas.

mod end;
mod manage;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::bounce::bounce;
use super::counters::Counting;
use super::failure::{DOUBTFUL, log_error_of_peer};
use super::flow::Flow;
use super::incoming::Lanes;
use super::link::Link;
use super::managed::Owed;
use super::on_its_way::{LAST_MOMENT, OnItsWay, is_once_only};
use super::outgoing::{Action, Actions, Opened, Outgoing};
use super::ping::Ping;
use super::servers::Servers;
use crate::stanza::{StreamCondition, StreamError};
use crate::stream::connection::Connection;
use crate::stream::exchange::Exchanged;
use crate::stream::input::StreamEvent;

/// How a stream has ended. The other machine has taken everything that was written, except perhaps the last part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// An administrator has asked for it.
    Asked,
    /// In good order.
    Closed,
    /// We have closed it, because nothing was to be sent.
    Idle,
    /// The connection was lost, or the other server does not read.
    Lost,
    /// It was closed before a complete stanza was sent on it, although one waited.
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

/// Writes what waits until the stream ends. What is not written then, or not acknowledged, waits again.
pub(super) async fn write(servers: &Servers, link: &Arc<Link>, opened: Opened) -> Ended {
    let server = servers.server();
    let handled = opened.machine.handled_before();
    let (any, doubtful) = link.forget_handled(handled, |stanza| is_once_only(server, stanza));
    Box::pin(bounce(server, doubtful, DOUBTFUL)).await;
    let mut stream = Stream::new(servers, link, opened, any);
    let (ended, error) = match stream.begin().await {
        Ok(()) => stream.run().await,
        Err(error) => (Ended::Closed, error),
    };
    stream.end(ended, error).await
}

/// A stream of ours on which stanzas may be sent.
struct Stream<'a> {
    servers: &'a Servers,
    link: &'a Arc<Link>,
    connection: Connection,
    machine: Outgoing,
    flow: Flow,
    /// The lanes for what the other server sends on it.
    lanes: Option<Box<Lanes>>,
    on_its_way: OnItsWay,
    owed: Owed,
    ping: Ping,
    /// How long nothing is sent before the stream is closed.
    idle: Duration,
    idle_at: Instant,
    /// How long we wait for an acknowledgement.
    patience: Duration,
    /// Whether a complete stanza was taken.
    sent_any: bool,
    /// What the other server sends on it is counted, and the count is kept.
    counting: Option<Counting>,
}

impl<'a> Stream<'a> {
    fn new(servers: &'a Servers, link: &'a Arc<Link>, opened: Opened, sent_any: bool) -> Self {
        let Opened { connection, machine, .. } = opened;
        let server = servers.server();
        let config = server.config.load_full();
        let earlier = machine.peer_limits().idle_of_sender();
        let idle = earlier.map_or(config.s2s.idle, |earlier| config.s2s.idle.min(earlier));
        let mut flow = Flow::new(config.limits.write);
        flow.set_share(|| server.budgets.remote_traffic.share(Some(&link.pair.remote), None));
        let mut on_its_way = OnItsWay::default();
        if machine.asks_for_acknowledgements() {
            let acked = machine.resumed().map_or(0, |(handled, _)| handled);
            on_its_way.go_on_from(acked, &connection);
        }
        Self {
            servers,
            link,
            connection,
            machine,
            flow,
            lanes: None,
            on_its_way,
            owed: Owed::default(),
            ping: Ping::new(config.s2s.ping, config.limits.write),
            idle,
            idle_at: Instant::now() + idle,
            patience: config.limits.write * 2,
            sent_any,
            counting: None,
        }
    }

    /// Writes and reads until the stream is to end. Returns how it ends, and with which error.
    async fn run(&mut self) -> (Ended, Option<StreamError>) {
        let (servers, link) = (self.servers, self.link);
        let server = servers.server();
        let ending = server.tasks.ending();
        let peer_limits = self.machine.peer_limits();
        // The server ends: what waits is written until then.
        let mut ends_at = None;
        loop {
            self.flow.note(&self.connection);
            if let Err(error) = self.hear().await {
                return (Ended::Closed, error);
            }
            if self.on_its_way.take(server, link, &mut self.connection, peer_limits).await {
                self.idle_at = Instant::now() + self.idle;
            }
            self.on_its_way.ask(&mut self.connection, false);
            self.answer();
            let is_late = self.on_its_way.is_late(&self.connection, self.patience);
            if is_late || self.flow.is_stalled(&self.connection) || self.ping.is_lost() {
                return (Ended::Lost, None);
            }
            let is_quiet = self.connection.is_written() && self.on_its_way.is_empty();
            if let Some(at) = ends_at
                && (at <= Instant::now() || is_quiet && link.waiting() == 0)
            {
                return (Ended::Closed, Some(StreamCondition::SystemShutdown.into()));
            }
            let has_room = self.on_its_way.has_room(&self.connection);
            let wakes_at = self.wakes_at(is_quiet, ends_at);
            let may_read = self.flow.may_read(&self.connection);
            let lanes = self.lanes.as_deref().filter(|_| self.owed.is_any());
            tokio::select! {
                biased;
                () = ending.cancelled(), if ends_at.is_none() => {
                    ends_at = Some(Instant::now() + LAST_MOMENT);
                }
                () = link.to_end() => return (Ended::Asked, None),
                done = self.connection.exchange_if(may_read) => match done {
                    Exchanged::Lost => return (Ended::Lost, None),
                    Exchanged::Read(count) => {
                        server.metrics.server_bytes_in.inc_by(count as u64);
                        self.flow.read(count);
                        self.ping.heard();
                    }
                    Exchanged::Written => {}
                },
                () = link.filled(), if has_room => {}
                () = Lanes::progress_if(lanes), if lanes.is_some() => {}
                () = sleep_until(wakes_at) => {
                    if self.flow.is_broken(&self.connection) {
                        return (Ended::Closed, Some(StreamCondition::ConnectionTimeout.into()));
                    }
                    if is_quiet && self.idle_at <= Instant::now() {
                        return (Ended::Idle, None);
                    }
                    self.ask_whether_it_is_there();
                }
            }
            self.sent_any |= self.on_its_way.written(&self.connection);
        }
    }

    /// When something is to be looked at, if nothing happens before. `is_quiet`: nothing is on its way.
    fn wakes_at(&self, is_quiet: bool, ends_at: Option<Instant>) -> Instant {
        let idles_at = if is_quiet { self.idle_at } else { Instant::now() + self.idle };
        let (acknowledged_by, owed_by) =
            (self.on_its_way.wakes_at(self.patience), self.owed.wakes_at());
        let others = [acknowledged_by, owed_by, ends_at, self.ping.wakes_at()];
        let wakes_at = others.into_iter().flatten().fold(idles_at, Instant::min);
        self.flow.wakes_at(&self.connection, wakes_at)
    }

    /// Asks the other server whether it is there, if it can answer on this stream: nothing has come for a while.
    fn ask_whether_it_is_there(&mut self) {
        let is_acknowledged = self.on_its_way.is_acknowledged();
        if !is_acknowledged && !self.machine.is_bidirectional() || !self.ping.is_due() {
            return;
        }
        if is_acknowledged {
            self.on_its_way.ask(&mut self.connection, true);
            self.ping.asked(None);
        } else if let Some((id, ping)) = Ping::request(&self.link.pair) {
            self.connection.send_bytes(|out| ping.write(None, out));
            self.ping.asked(Some(id));
        }
    }

    /// What has come while the stream was opened; then the counts of the stream before this one go on, if it was resumed.
    async fn begin(&mut self) -> Result<(), Option<StreamError>> {
        for actions in self.machine.kept() {
            self.carry_out(actions).await?;
        }
        if let Some((_, heard)) = self.machine.resumed() {
            self.begin_counting(heard);
        }
        Ok(())
    }

    /// Reads what has come.
    ///
    /// # Errors
    /// The stream is to end, with the error if there is one.
    async fn hear(&mut self) -> Result<(), Option<StreamError>> {
        loop {
            let actions = match self.connection.input.next_event() {
                Ok(None) => return Ok(()),
                Ok(Some(StreamEvent::Header(header))) => self.machine.header(&header),
                Ok(Some(StreamEvent::Element(frame))) => {
                    let remote = &self.link.pair.remote;
                    log_error_of_peer(&frame, Some(remote), self.connection.peer);
                    self.machine.element(frame)
                }
                Ok(Some(StreamEvent::End)) => self.machine.ended(),
                Err(error) => self.machine.broken(error.into()),
            };
            self.carry_out(actions).await?;
        }
    }

    /// Carries out what the machine says.
    ///
    /// # Errors
    /// As [`Self::hear`].
    async fn carry_out(&mut self, actions: Actions) -> Result<(), Option<StreamError>> {
        for action in actions {
            match action {
                Action::Send(node) => self.flow.answer(&mut self.connection, &node),
                Action::Manage(step) => self.manage(&step).map_err(Some)?,
                Action::Close(error) => return Err(error),
                Action::Fail(_) => return Err(None),
                Action::Stanza(frame) if self.ping.is_answer(&frame) => {}
                Action::Stanza(frame) => {
                    self.idle_at = Instant::now() + self.idle;
                    let remote = self.link.pair.remote.clone();
                    let lang = self.connection.input.lang().cloned();
                    let read = self.lanes().read(remote, frame, lang.as_ref());
                    Box::pin(read).await.map_err(Some)?;
                }
                Action::Open(_)
                | Action::Secure
                | Action::Restart
                | Action::Ready
                | Action::Seen(_)
                | Action::Answered(_) => {}
            }
        }
        Ok(())
    }
}
