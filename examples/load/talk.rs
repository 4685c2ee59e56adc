//! Pairs of accounts that talk: one writes, the other reads or is absent, and a window bounds
//! what is on its way.
//!
//! Writer and reader live in this process, so the receipt of a message opens the window without
//! anything on the wire. Each message is a write of its own, as with real clients. With stream
//! management (XEP-0198) the writer asks for acknowledgements, and a message is over only when
//! the server has acknowledged it, too.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{AnyStream, Connection, Target};
use crate::elements::{self, Element};

/// When a message is over: then its time is taken, and the window has room for another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Until {
    /// The server has acknowledged it (XEP-0198).
    Acknowledged,
    /// Both.
    Both,
    /// The recipient has it.
    Received,
}

/// How pairs talk.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) until: Until,
    /// Messages of a pair that are on their way at the same time.
    pub(crate) window: u32,
    /// The writer asks for an acknowledgement after so many messages.
    pub(crate) ask_every: u32,
    /// Time from a message of a pair to its next; `None`: as soon as the window allows.
    pub(crate) pace: Option<Duration>,
    /// Length of a body.
    pub(crate) bytes: usize,
}

impl Manner {
    /// A window, in which the writer asks twice.
    pub(crate) fn window(until: Until, window: u32, bytes: usize) -> Self {
        Self { until, window, ask_every: (window / 2).max(1), pace: None, bytes }
    }
}

/// How long to go on, and what is left to send.
pub(crate) struct Plan {
    pub(crate) started: Instant,
    deadline: Instant,
    left: Cell<u64>,
    manner: Manner,
    /// Microseconds from writer to reader, of all that have arrived.
    arrivals: RefCell<Vec<u32>>,
}

impl Plan {
    /// `messages` of all pairs together, none sent later than `time` from now.
    pub(crate) fn new(messages: u64, time: Duration, manner: Manner) -> Self {
        let started = Instant::now();
        let (left, arrivals) = (Cell::new(messages), RefCell::default());
        Self { started, deadline: started + time, left, manner, arrivals }
    }

    /// Takes the times from writer to reader, in microseconds.
    pub(crate) fn take_arrivals(&self) -> Vec<u32> {
        self.arrivals.take()
    }

    /// Takes one message from those that are left.
    fn take(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0 && Instant::now() < self.deadline
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_micros().try_into().unwrap_or(u64::MAX)
    }
}

/// One who writes, and the one he writes to, if that one is here.
pub(crate) struct Pair {
    writer: Side,
    reader: Option<Side>,
    to: String,
    /// Messages written in all.
    sent: u32,
}

impl Pair {
    /// `to` is where the messages go; `reader`, if there is one, is who gets them.
    pub(crate) fn new(writer: Connection, reader: Option<Connection>, to: String) -> Self {
        Self { writer: Side::new(writer), reader: reader.map(Side::new), to, sent: 0 }
    }

    /// Logs in `count` pairs, all of them present; with `managed`, all with stream management.
    pub(crate) async fn present(
        target: &Rc<Target>,
        count: usize,
        managed: bool,
    ) -> anyhow::Result<Vec<Self>> {
        let mut connections = target.login_all(count * 2).await?;
        for connection in &mut connections {
            connection.appear(&target.domain).await?;
            if managed {
                connection.manage().await?;
            }
        }
        let (mut pairs, mut rest) = (Vec::new(), connections.into_iter());
        while let (Some(writer), Some(reader)) = (rest.next(), rest.next()) {
            let to = reader.jid.clone();
            pairs.push(Self::new(writer, Some(reader), to));
        }
        Ok(pairs)
    }

    /// Messages written in all.
    pub(crate) fn sent(&self) -> u32 {
        self.sent
    }

    /// Closes both streams in good order.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        for side in [Some(self.writer), self.reader].into_iter().flatten() {
            side.close().await?;
        }
        Ok(())
    }

    /// Sends until the plan is fulfilled and everything sent is over. Returns the microseconds
    /// that each message took. `place` spreads those who have a pace: from 0 to 1.
    async fn talk(&mut self, plan: &Plan, place: f64) -> anyhow::Result<Vec<u32>> {
        let flight = Flight::new(plan, self.sent);
        let (reads, writes) = (&mut self.writer.incoming, &self.writer.outgoing);
        let has_reader = self.reader.is_some();
        tokio::select! {
            failed = acknowledgements(reads, writes, &flight) => {
                return Err(failed.context("the writer failed"));
            }
            failed = receipts(self.reader.as_mut(), &flight) => {
                return Err(failed.context("the reader failed"));
            }
            sent = send(writes, &self.to, &flight, place, has_reader) => sent?,
        }
        self.sent = self.sent.wrapping_add(flight.sent.get());
        Ok(flight.micros.into_inner())
    }
}

/// A connection in two halves.
pub(crate) struct Side {
    incoming: Incoming,
    outgoing: Outgoing,
    end: &'static str,
}

type Outgoing = Mutex<WriteHalf<AnyStream>>;

impl Side {
    pub(crate) fn new(connection: Connection) -> Self {
        let end = connection.end();
        let (stream, unread) = connection.into_parts();
        let (reader, writer) = tokio::io::split(stream);
        Self {
            incoming: Incoming { reader, unread, handled: 0 },
            outgoing: Mutex::new(writer),
            end,
        }
    }

    /// Writes `xml` at once.
    pub(crate) async fn write(&self, xml: &str) -> anyhow::Result<()> {
        write(&self.outgoing, xml).await
    }

    async fn close(mut self) -> anyhow::Result<()> {
        self.write(self.end).await?;
        let mut rest = [0; 1024];
        let closed = async {
            while self.incoming.reader.read(&mut rest).await.is_ok_and(|count| count > 0) {}
        };
        tokio::time::timeout(STALL, closed).await.context("the server does not close")
    }

    /// Reads until `count` messages of ours have come, in all.
    pub(crate) async fn read_messages(&mut self, count: u32) -> anyhow::Result<()> {
        let mut messages = 0;
        while messages < count {
            let come = tokio::time::timeout(STALL, self.incoming.read()).await;
            let come = come.with_context(|| format!("only {messages} of {count} come"))??;
            messages += come.messages;
        }
        Ok(())
    }
}

struct Incoming {
    reader: ReadHalf<AnyStream>,
    unread: Vec<u8>,
    /// Stanzas that have come since stream management was enabled.
    handled: u32,
}

/// What one look at the wire has brought.
#[derive(Default)]
struct Come {
    messages: u32,
    /// We are asked how many stanzas we have handled.
    is_asked: bool,
    answers: u32,
    acknowledged: Option<u32>,
}

impl Incoming {
    async fn read(&mut self) -> anyhow::Result<Come> {
        self.unread.reserve(READ_BYTES);
        if self.reader.read_buf(&mut self.unread).await? == 0 {
            bail!("connection closed");
        }
        let (mut come, mut done) = (Come::default(), 0);
        while let Some((element, length)) = elements::first(&self.unread[done..])? {
            match element {
                Element::Acknowledged(h) => {
                    come.acknowledged = Some(h);
                    come.answers += 1;
                }
                Element::Asked => come.is_asked = true,
                Element::Message(message) if is_ours(message) => {
                    come.messages += 1;
                    self.handled = self.handled.wrapping_add(1);
                }
                Element::Message(message) => {
                    bail!("a message that nobody sent: {}", String::from_utf8_lossy(message));
                }
                Element::Iq(_) | Element::Presence(_) => {
                    self.handled = self.handled.wrapping_add(1);
                }
            }
            done += length;
        }
        self.unread.drain(..done);
        Ok(come)
    }
}

/// The messages of one pair that are on their way.
struct Flight<'a> {
    plan: &'a Plan,
    /// Messages of earlier plans on the same stream.
    before: u32,
    sent: Cell<u32>,
    received: Cell<u32>,
    acknowledged: Cell<u32>,
    /// So many of those sent have an `<r/>` behind them.
    asked: Cell<u32>,
    /// `<r/>` that are not answered yet.
    questions: Cell<u32>,
    /// When those were written that are not over, oldest first; microseconds of the plan.
    written: RefCell<VecDeque<u64>>,
    micros: RefCell<Vec<u32>>,
    /// When those were written that have not arrived, oldest first.
    on_the_way: RefCell<VecDeque<u64>>,
    window: Semaphore,
}

impl<'a> Flight<'a> {
    fn new(plan: &'a Plan, before: u32) -> Self {
        Self {
            plan,
            before,
            sent: Cell::new(0),
            received: Cell::new(0),
            acknowledged: Cell::new(0),
            asked: Cell::new(0),
            questions: Cell::new(0),
            written: RefCell::default(),
            micros: RefCell::default(),
            on_the_way: RefCell::default(),
            window: Semaphore::new(plan.manner.window as usize),
        }
    }

    /// Notes which messages are over, and opens the window.
    fn settle(&self) {
        let over = match self.plan.manner.until {
            Until::Acknowledged => self.acknowledged.get(),
            Until::Both => self.acknowledged.get().min(self.received.get()),
            Until::Received => self.received.get(),
        };
        let now = self.plan.now();
        let (mut written, mut micros) = (self.written.borrow_mut(), self.micros.borrow_mut());
        while micros.len() < over as usize {
            let Some(at) = written.pop_front() else { return };
            micros.push((now - at).try_into().unwrap_or(u32::MAX));
            self.window.add_permits(1);
        }
    }

    /// Notes that messages have arrived.
    fn arrived(&self, messages: u32) {
        self.received.set(self.received.get() + messages);
        let now = self.plan.now();
        let mut written = self.on_the_way.borrow_mut();
        let mut arrivals = self.plan.arrivals.borrow_mut();
        for at in (0..messages).map_while(|_| written.pop_front()) {
            arrivals.push((now - at).try_into().unwrap_or(u32::MAX));
        }
    }

    /// Notes that an `<r/>` is written.
    fn ask(&self) {
        self.asked.set(self.sent.get());
        self.questions.set(self.questions.get() + 1);
    }
}

/// Sends messages as window and pace allow, then waits until all of them are over.
async fn send(
    writer: &Outgoing,
    to: &str,
    flight: &Flight<'_>,
    place: f64,
    has_reader: bool,
) -> anyhow::Result<()> {
    let (plan, manner, mut text) = (flight.plan, flight.plan.manner, String::new());
    let managed = manner.until != Until::Received;
    let mut next = manner.pace.map(|pace| plan.started + pace.mul_f64(place));
    loop {
        let permit = tokio::time::timeout(STALL, flight.window.acquire()).await;
        permit.context("no message gets through any more")??.forget();
        if let (Some(at), Some(pace)) = (next, manner.pace) {
            tokio::time::sleep_until(at).await;
            next = Some(at + pace);
        }
        if !plan.take() {
            break;
        }
        let sent = flight.sent.get() + 1;
        flight.sent.set(sent);
        let now = plan.now();
        text.clear();
        write!(text, "<message type='chat' id='m{now}' to='{to}'><body>{now:0>STAMP_BYTES$}")?;
        text.extend(std::iter::repeat_n('x', manner.bytes.saturating_sub(STAMP_BYTES)));
        text.push_str("</body></message>");
        if managed && sent.is_multiple_of(manner.ask_every) {
            text.push_str(ASK);
            flight.ask();
        }
        flight.written.borrow_mut().push_back(now);
        if has_reader {
            flight.on_the_way.borrow_mut().push_back(now);
        }
        write(writer, &text).await?;
    }
    if managed && flight.asked.get() < flight.sent.get() {
        flight.ask();
        write(writer, ASK).await?;
    }
    let rest = tokio::time::timeout(STALL, flight.window.acquire_many(manner.window - 1)).await;
    rest.context("the last messages do not get through")??.forget();
    Ok(())
}

/// Reads what comes to the writer: acknowledgements, and nothing else.
async fn acknowledgements(
    reads: &mut Incoming,
    writes: &Outgoing,
    flight: &Flight<'_>,
) -> anyhow::Error {
    loop {
        // A server may answer before it has handled all. One that does not say more by itself is asked
        // again, but not as fast as it answers: no client does that.
        let is_short = flight.acknowledged.get() < flight.asked.get();
        let patience = if is_short && flight.questions.get() == 0 { ASK_AGAIN } else { NEVER };
        let come = match tokio::time::timeout(patience, reads.read()).await {
            Ok(Ok(come)) if come.messages == 0 => come,
            Ok(Ok(_)) => return anyhow::anyhow!("a message for somebody whom nobody writes to"),
            Ok(Err(error)) => return error,
            Err(_) => {
                flight.ask();
                match write(writes, ASK).await {
                    Ok(()) => continue,
                    Err(error) => return error,
                }
            }
        };
        if let Some(h) = come.acknowledged {
            flight.acknowledged.set(h.wrapping_sub(flight.before));
            flight.questions.set(flight.questions.get().saturating_sub(come.answers));
            flight.settle();
        }
        if come.is_asked
            && let Err(error) = write(writes, &acknowledgement(reads.handled)).await
        {
            return error;
        }
    }
}

/// Takes messages off the wire, and says so if the server asks.
async fn receipts(reader: Option<&mut Side>, flight: &Flight<'_>) -> anyhow::Error {
    let Some(reader) = reader else { return std::future::pending().await };
    loop {
        let come = match reader.incoming.read().await {
            Ok(come) => come,
            Err(error) => return error,
        };
        flight.arrived(come.messages);
        flight.settle();
        if come.is_asked
            && let Err(error) = reader.write(&acknowledgement(reader.incoming.handled)).await
        {
            return error;
        }
    }
}

async fn write(writer: &Outgoing, xml: &str) -> anyhow::Result<()> {
    let mut writer = writer.lock().await;
    writer.write_all(xml.as_bytes()).await?;
    Ok(writer.flush().await?)
}

fn acknowledgement(handled: u32) -> String {
    format!("<a xmlns='urn:xmpp:sm:3' h='{handled}'/>")
}

/// Whether its body begins as we write them, and it is no error.
fn is_ours(message: &[u8]) -> bool {
    memmem::find(message, b"<body>").is_some_and(|at| {
        let body = &message[at + "<body>".len()..];
        body.get(..STAMP_BYTES).is_some_and(|stamp| stamp.iter().all(u8::is_ascii_digit))
    }) && memmem::find(message, b"<error").is_none()
}

/// Lets all pairs talk at the same time. Returns them, and the microseconds of all messages.
pub(crate) async fn talk(
    pairs: Vec<Pair>,
    plan: &Rc<Plan>,
) -> anyhow::Result<(Vec<Pair>, Vec<u32>)> {
    let (mut talks, count) = (JoinSet::new(), pairs.len());
    for (number, mut pair) in pairs.into_iter().enumerate() {
        let plan = Rc::clone(plan);
        talks.spawn_local(async move {
            let micros = pair.talk(&plan, number as f64 / count as f64).await?;
            anyhow::Ok((number, pair, micros))
        });
    }
    let (mut pairs, mut all) = (Vec::with_capacity(count), Vec::new());
    while let Some(talk) = talks.join_next().await {
        let (number, pair, mut micros) = talk??;
        pairs.push((number, pair));
        all.append(&mut micros);
    }
    pairs.sort_by_key(|(number, _)| *number);
    Ok((pairs.into_iter().map(|(_, pair)| pair).collect(), all))
}

/// A short run first: buffers grow, code is loaded.
pub(crate) async fn warm_up(pairs: Vec<Pair>, manner: Manner) -> anyhow::Result<Vec<Pair>> {
    let plan = Plan::new(pairs.len() as u64 * WARM_MESSAGES, WARM_TIME, manner);
    Ok(talk(pairs, &Rc::new(plan)).await?.0)
}

/// After an answer that says less than was asked.
const ASK_AGAIN: Duration = Duration::from_millis(100);
const NEVER: Duration = Duration::from_secs(3600);
const ASK: &str = "<r xmlns='urn:xmpp:sm:3'/>";
const WARM_MESSAGES: u64 = 20;
const WARM_TIME: Duration = Duration::from_secs(10);
/// Long: on a busy disk a server that syncs for each message may do some fifty a second.
const STALL: Duration = Duration::from_secs(120);
const STAMP_BYTES: usize = 12;
const READ_BYTES: usize = 16 * 1024;
